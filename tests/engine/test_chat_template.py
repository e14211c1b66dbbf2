"""Chat templates are untrusted: they are rendered with limits, in a process that can be ended."""

from __future__ import annotations

import pytest

from engine.models.chat import ChatTemplate
from engine.text.chat_template import LARGEST, render_chat

NAMED = {"bos_token": "<s>", "eos_token": "</s>"}
HONEST = """{{ bos_token }}{% for message in messages %}
    {%- if loop.first %}{% generation %}[{{ message.role }}]{% endgeneration %}{% endif %}
{{ message['content'] | tojson }}{{ eos_token }}
{% break %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"""


def test_a_template_is_rendered_as_the_field_expects() -> None:
    assert (
        render_chat(HONEST, [{"role": "user", "content": "say <é> 漢"}], NAMED, "toy")
        == '<s>[user]"say <é> 漢"</s>\n[assistant]'
    )


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recurses without end"),
        ("{{ 'a' * (10 ** 11) }}", "memory"),
        ("{{ '%2000000000d' % 1 }}", "memory"),
        ("{% for i in range(99999) %}" * 2 + "x" + "{% endfor %}" * 2, "produces more than"),
        ("{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3, "seconds"),
        ("{{ raise_exception('only\ntwo turns') }}", "only two turns"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% if %}", "Expected"),
        ("x" * (LARGEST + 1), "longer"),
    ],
)
def test_a_bad_template_is_refused_in_a_sentence(template: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        render_chat(template, [{"role": "user", "content": "hi"}], NAMED, "toy")
    assert str(error.value).startswith("the chat template of toy cannot be rendered: ")
    assert "\n" not in str(error.value)


TURNS = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)
SHOTS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1 + 1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "2 + 2?"},
]


def test_a_conversation_is_rendered_with_the_answer_begun() -> None:
    template = ChatTemplate(TURNS, {}, "toy")
    expected = "<system>Be brief.</><user>1 + 1?</><assistant>2</><user>2 + 2?</>"
    assert template.render(SHOTS) == f"{expected}<a>"
    assert template("hi") == "<user>hi</><a>"
    opened = [*SHOTS, {"role": "assistant", "content": "It is "}]
    assert template.render(opened, begin_answer=False) == f"{expected}<assistant>It is"
