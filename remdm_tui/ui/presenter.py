"""Pass a session's data to the widgets that show it, but only what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text
from textual.content import Content

from engine.debug.laws import EXPECTED
from engine.records import ModelInfo
from engine.sampling.trace import Record
from remdm_tui.console.sanitize import sanitize
from remdm_tui.render.grid_face import GridFace
from remdm_tui.render.model_summary import placement
from remdm_tui.render.panels import Chart, Overlay
from remdm_tui.render.progress_line import loading_line, steps_line
from remdm_tui.render.shorten import shorten, shorten_message
from remdm_tui.render.text_layout import TokenTexts
from remdm_tui.screens.watch import WatchScreen
from remdm_tui.ui import charts, panel_data
from remdm_tui.ui.drawn import LastDrawn
from remdm_tui.ui.header_presenter import HeaderPresenter
from remdm_tui.ui.text_presenter import TextPresenter, total_on_screen
from remdm_tui.ui.watched_answer import WatchedAnswer
from remdm_tui.watch.branches import describe_changes
from remdm_tui.watch.findings import Failure, describe_law
from remdm_tui.watch.inspector import named_parts
from remdm_tui.watch.notices import Notice, Progress, Severity
from remdm_tui.watch.panes import LETTERS
from remdm_tui.watch.training_log import Losses
from remdm_tui.widgets.figures import figures_line
from remdm_tui.widgets.inspector import prediction_text, story_text
from remdm_tui.widgets.text_rows import PLAIN

MARKS: dict[Severity, tuple[str, str]] = {"failure": ("✗ ", "x "), "hint": ("› ", "> "), "note": ("", "")}
"""What a message begins with, so that its kind does not rest on colour; in ASCII the second."""
LEAST_PROGRESS = 20
"""Columns of progress behind a hint at least."""


class Presenter:
    """Draws a session on its screen."""

    def __init__(self, screen: WatchScreen, clock: Callable[[], float]) -> None:
        self.screen, self.session, self.options = screen, screen.session, screen.options
        self._pace, self._steps_per_second = panel_data.Pace(clock), 0.0
        self.revealed, self.bands = charts.CurveReader(charts.reveal_confidence, clock), charts.Bands()
        self._lost = charts.LostTokens(clock)
        self._drawn = LastDrawn()
        self.texts = TextPresenter(screen, self._drawn)
        self.answer = WatchedAnswer(self.options)
        self.header = HeaderPresenter(screen)

    def forget_sizes(self) -> None:
        """Draw again what depends on the size of the screen."""
        self._drawn.forget("notice", "knobs", "panels", "inspector")

    @property
    def whole(self) -> bool:
        """Whether all that was to be drawn is there."""
        return self.texts.maps_whole and self.curves_whole and not self.answer.waiting

    @property
    def settled(self) -> bool:
        """Whether nothing that is drawn changes with time alone."""
        return self._steps_per_second == 0

    # -- words: little to write, so they are there at once

    def draw_words(self) -> None:
        """Draw notices, failures, knobs and the model's name."""
        session, screen = self.session, self.screen
        message = self._message()
        if self._drawn.is_new("notice", (message, session.progress, screen.app.size.width)):
            self._draw_banner(message, session.progress)
        if self._drawn.is_new("refused", screen.refused):
            screen.refresh_bindings()
        if self._drawn.is_new("states", (session.edits, session.made.strategy, session.upcoming.strategy)):
            screen.colour_key.draw(screen.colour_key.palette)
        if self._drawn.is_new("cursor", session.debug.inspector.at):
            screen.panes.active.use_cursor(session.debug.inspector.at)
        if self._drawn.is_new("failure", session.debug.findings.failure):
            self._draw_failure(session.debug.findings.failure)
        made, upcoming = session.made, session.upcoming
        if session.strategies and self._drawn.is_new("knobs", (made, upcoming, session.strategies, screen.app.size)):
            screen.knobs.show(session.panel())
            changes = describe_changes(made, upcoming) if made != upcoming else ""
            room = screen.knobs_box.outer_size.width - 6
            changes = shorten(f"next: {changes}", max(8, room), self.options.ascii) if changes else ""
            screen.knobs_box.border_subtitle = Content(changes)
        if session.model is not None and self._drawn.is_new("model", session.model):
            model, plain = session.model, self.options.ascii
            face = GridFace.of(model, plain)
            screen.panes.use_pieces(TokenTexts.of(model.pieces, plain, model.fragments), face)
            screen.colour_key.use_layout(model.layout)
        if session.model is not None and self._drawn.is_new("title", (session.model, session.model_step)):
            self._draw_model(session.model)

    def _message(self) -> Notice:
        """Return the notice, or else what was found at the step on screen."""
        session = self.session
        notice = session.notice
        if notice.text or session.trace is None:
            return replace(notice, text=self.screen.controls.name_keys(notice.text)) if notice.text else notice
        found = session.debug.findings.at(session.debug.branches.current, session.position)
        if not found:
            return notice
        text = describe_law(found[0], self.options.ascii)
        return Notice(text, "note" if found[0].law == EXPECTED else "failure", more=len(found) - 1)

    def _draw_banner(self, notice: Notice, progress: Progress | None) -> None:
        """Draw the message row, which is there with and without a message."""
        banner, text, plain = self.screen.banner, sanitize(notice.text, cells=True), self.options.ascii
        room = self.screen.app.size.width - 2
        if text:
            mark = MARKS[notice.severity][plain]
            more = f" (+{notice.more} more)" if notice.more else ""
            text = f"{mark}{shorten_message(text, room - cell_len(mark + more), plain)}{more}"
        if progress is not None:
            # why a key does nothing now comes first
            hint = f"{text}  " if notice.severity == "hint" and text else ""
            cancel = f"  {self.screen.controls.keys['cancel']} cancels"
            line, stage = steps_line if progress.steps else loading_line, sanitize(progress.stage, cells=True)
            left = room - cell_len(hint) - len(cancel)
            text = hint
            if left >= LEAST_PROGRESS or not hint:
                text += line(stage, progress.done, progress.total, left, plain) + cancel
        if not self.session.has_record:
            stage = "loading" if progress is None else sanitize(progress.stage, cells=True)
            failed = self.session.failure is not None
            self.screen.panes.active.message(self.screen.controls.no_run if failed else f"{stage} ...")
            self.header.draw_waiting(failed)
        banner.update(text, layout=False)
        # a plain string would be read as markup
        banner.tooltip = Content(sanitize(notice.text)) if notice.text and progress is None else None
        for severity in MARKS:
            banner.set_class(bool(notice.text) and severity == notice.severity and progress is None, severity)

    def _draw_training(self, losses: Losses) -> None:
        """Draw the training run whose first checkpoint is waited for."""
        self.header.draw_waiting(self.session.failure is not None)
        self.screen.curves.show([charts.loss_chart(losses)], 1, 0)

    def _draw_failure(self, failure: Failure | None) -> None:
        """Draw the traceback of a strategy below the text."""
        box = self.screen.text.failure
        self.screen.text.show_box(box, failure is not None)
        if failure is not None:
            box.border_title = Content(failure.where)
            box.update(f"{failure.detail}\n{failure.reason}".strip())

    def _draw_model(self, model: ModelInfo) -> None:
        """Draw the model and its device above the text."""
        where = f" on {self.options.where}" if self.options.where else ""
        step = "" if self.session.model_step is None else f" of step {self.session.model_step:,}"
        name = sanitize(placement(model), cells=True) + where + step
        name = f"{self.screen.title_key('text')} {name}"
        self.screen.text.border_title = Content(name.replace("│", "|") if self.options.ascii else name)

    # -- texts and maps

    def draw_grids(self, ready: bool, room: int) -> bool:
        """Draw grids in at most `room` bytes; start a new canvas only if `ready`.  Return whether one was started."""
        return self.texts.draw_grids(ready, room)

    def draw_maps(self) -> None:
        """Draw the maps, or as much of them as can be read in a moment."""
        self.texts.draw_maps()

    # -- the panels

    def draw_step(self) -> None:
        """Draw header, figures and values of the curves, unless the text shows another step than the session's."""
        trace = self.session.trace
        if trace is None or not self.texts.in_step:
            return
        self.header.draw(trace)
        self.texts.draw_captions()
        answer = self.answer.read(self.session, trace)
        session, pace = self.session, self._steps_per_second
        reading = panel_data.reading(trace, session.position, session.sample, pace, answer, session.edits)
        self.screen.figures.show(reading)
        self.screen.line.write([((figures_line(reading, self.screen.app.size.width - 2), PLAIN),)])
        if self.screen.curves.size.height:
            # a new point of the band costs as much as all else that is drawn here
            self.screen.curves.show_values(self._curves(trace, band=False))

    def draw_panels(self) -> bool:
        """Draw inspector, step, maps and timeline; return whether the side panels must follow."""
        session, screen = self.session, self.screen
        self._draw_inspector()
        self.draw_maps()
        trace, player, sample = session.trace, session.player, session.sample
        if trace is None:
            if session.training is not None and self._drawn.is_new("training", session.training):
                self._draw_training(session.training)
            return False
        self._steps_per_second = self._pace(len(trace))
        self.draw_step()
        state = (
            self.answer.line, trace, len(trace), sample, screen.app.size, screen.curves.size, player,
            session.made, session.upcoming, round(self._steps_per_second, 1),
            session.debug.branches.against, len(session.recording.marks), screen.panes.group.panes,
            session.debug.breakpoints.listed, session.training,
        )  # fmt: skip
        if not self._drawn.is_new("panels", state):
            return False
        if screen.panes.group.panes:
            self._report_end()
        total = total_on_screen(screen.panes, trace)
        screen.timeline.use_marks(screen.timeline.bookmarks)
        screen.timeline.use_changes(panel_data.settings_changes(trace))
        self._draw_timeline(trace, total)
        return True

    @property
    def curves_whole(self) -> bool:
        """Return whether all that curves and timeline need of the frames is read."""
        return self.revealed.whole and self._lost.whole

    def _draw_timeline(self, trace: Record, total: int) -> None:
        session = self.session
        lost = self._lost.of(trace, session.sample, session.strategies)
        self.screen.timeline.show(session.player.position, session.recorded, total, lost)

    def draw_side(self) -> None:
        """Draw the panels beside the text."""
        session, screen = self.session, self.screen
        trace = session.trace
        if trace is None:
            return
        branches, several = session.debug.branches, len(session.recording.branches) > 1
        screen.branches_box.set_class(several, "-several")
        if several:
            screen.branches.show(branches.rows(), branches.current, branches.against)
        if not self._lost.whole:
            self._draw_timeline(trace, total_on_screen(screen.panes, trace))
        if screen.curves.size.height:
            self.revealed.whole = True
            changes = panel_data.settings_changes(trace)
            total = total_on_screen(screen.panes, trace)
            screen.curves.show(self._curves(trace), total, self.texts.position, changes)

    def _draw_inspector(self) -> None:
        """Draw the selected position below the text."""
        session, text, plain = self.session, self.screen.text, self.options.ascii
        inspector, trace, model = session.debug.inspector, session.trace, session.model
        at = inspector.at
        text.show_box(text.inspector, at is not None)
        if at is None or trace is None or model is None:
            return
        position = session.position
        tokens = trace.tokens(position, session.sample)
        # without the frame
        room = text.size.width - 4, text.box_room - 2
        prediction = inspector.prediction
        if not inspector.shows_prediction:
            story = session.debug.story()
            parts = named_parts(model, tokens, at, () if story is None else {moment.token for moment in story.moments})
            branch, sample = session.debug.branches.current, session.sample
            ranks = {
                step: text for (*where, step), text in session.debug.ranks.items() if where == [branch, sample, at]
            }  # fmt: skip
            now = story_text(story, model.pieces, position, room, plain, parts, ranks)
        elif prediction is None or (prediction.sample, prediction.position) != (session.sample, at):
            now = Text("Asking the model ...")
        else:
            parts = named_parts(model, tokens, at, {ranked.token for ranked in prediction.top})
            now = prediction_text(prediction, model.pieces, room, plain, parts)
        if self._drawn.is_new("inspector", (now, at)):
            other = "history" if inspector.shows_prediction else "prediction"
            keys = self.screen.controls.keys
            changes = f"{keys['change-previous']} {keys['change-next']} changes"
            text.inspector.border_title = Content(f"position {at} - {changes}, {keys['prediction']} {other}")
            text.inspector.update(now)
        text.keep_in_sight(now.plain.count("\n") + 1)

    def _report_end(self) -> None:
        """Say where the figures of all panes are when every one of them has ended."""
        session = self.session
        ended = session.player.done and not session.notice.text
        if self._drawn.is_new("ended", (session.run, session.player.done)) and ended and session.recording.writable:
            key = self.screen.controls.keys["table"]
            self.screen.controls.say(f"All panes ended. {key}: their figures side by side", "note")

    def _curves(self, trace: Record, band: bool = True) -> list[Chart | Overlay]:
        """Return the curves of the run, with their values at the step that the text shows; with panes, overlaid.

        band: whether to compute the band of chance, where there is one.
        """
        group, sample, at = self.screen.panes.group, self.session.sample, self.texts.position
        if not group.panes:
            bands = self.bands if band and charts.has_band(trace, self.session.strategies) else None
            found = charts.charts(trace, min(at, len(trace)), sample, bands, self.revealed.of(trace, sample))
            training = self.session.training
            return [*found[:1], *([] if training is None else [charts.loss_chart(training)]), *found[1:]]
        panes = [(letter, one.record, min(at, len(one.record))) for letter, one in zip(LETTERS, group.panes)]
        revealed = {letter: self.revealed.of(record, sample) for letter, record, _ in panes}
        return list(charts.overlays(panes, sample, revealed))
