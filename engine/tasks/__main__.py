"""lm-evaluation-harness's own command with our model: `python -m engine.tasks run --model remdm --model_args ...`.

Versions up to 0.4.13 do not look for models of other packages.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line of lm-evaluation-harness."""
    from lm_eval.__main__ import cli_evaluate
    from lm_eval.api.registry import model_registry

    if "remdm" not in model_registry:
        model_registry.register("remdm", target="engine.tasks.harness:HarnessModel")
    cli_evaluate()


if __name__ == "__main__":
    main()
