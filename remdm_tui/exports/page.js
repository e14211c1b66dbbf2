"use strict";
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const last = run.steps.length, length = run.start[0].length;
  const KEEP = 64; // steps between states that are kept whole
  const MASKED = 0, REMASKED = 3;
  const by = (id) => document.getElementById(id);
  const text = by("text"), slider = by("slider"), label = by("label"), play = by("play"), speed = by("speed");

  const start = { states: Uint8Array.from(run.start[0]), words: Int32Array.from(run.start[1]) };
  const copy = (state) => ({ states: state.states.slice(), words: state.words.slice() });
  const advance = (state, step) => {
    for (let i = 0; i < length; i++) state.states[i] = run.next[state.states[i]];
    for (let i = 0, at = 0; i < step.length; i += 3) {
      at += step[i];
      state.states[at] = step[i + 1];
      state.words[at] = step[i + 2];
    }
  };
  const kept = [copy(start)];
  const moving = copy(start);
  run.steps.forEach((step, i) => {
    advance(moving, step);
    if ((i + 1) % KEEP === 0) kept.push(copy(moving));
  });
  const at = (position) => {
    const state = copy(kept[Math.floor(position / KEEP)]);
    for (let i = position - (position % KEEP); i < position; i++) advance(state, run.steps[i]);
    return state;
  };

  const fill = (glyph, width) => (width > 1 ? " " + glyph.repeat(width - 1) : glyph);
  const shown = (state, word) => {
    if (state === MASKED) return fill(run.states[state].fill, run.mask);
    if (state === REMASKED) return fill(run.states[state].fill, run.widths[word]);
    return run.texts[word];
  };
  const cells = Array.from({ length }, () => text.appendChild(document.createElement("span")));
  const drawn = { states: new Uint8Array(length).fill(255), words: new Int32Array(length) };
  let position = 0, timer = null;

  const show = (wanted) => {
    position = Math.max(0, Math.min(last, wanted));
    const now = at(position);
    for (let i = 0; i < length; i++) {
      const state = now.states[i], word = now.words[i];
      if (state === drawn.states[i] && word === drawn.words[i]) continue;
      cells[i].className = run.states[state].name;
      cells[i].textContent = shown(state, word);
      drawn.states[i] = state;
      drawn.words[i] = word;
    }
    slider.value = String(position);
    label.textContent = run.labels[position];
  };
  const pause = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶";
  };
  const tick = () => (position < last ? show(position + 1) : pause());
  const start_playing = () => {
    if (position === last) show(0);
    timer = setInterval(tick, 1000 / Number(speed.value));
    play.textContent = "‖";
  };
  const toggle = () => (timer === null ? start_playing() : pause());
  const seek = (wanted) => { pause(); show(wanted); };
  const keys = {
    " ": toggle,
    ArrowLeft: () => seek(position - 1),
    ArrowRight: () => seek(position + 1),
    Home: () => seek(0),
    End: () => seek(last),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === speed || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  // a button that keeps the focus would take the space bar for itself
  play.addEventListener("click", () => { play.blur(); toggle(); });
  slider.addEventListener("input", () => seek(Number(slider.value)));
  speed.addEventListener("change", () => { if (timer !== null) { pause(); start_playing(); } });

  slider.max = String(last);
  for (const state of run.states) {
    const sample = document.createElement("span");
    sample.className = state.name;
    sample.textContent = (state.fill ? state.fill + state.fill + " " : "") + state.name;
    by("legend").appendChild(sample);
  }
  show(0);
})();
