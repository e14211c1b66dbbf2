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
  // the map: of several positions and steps in a cell the worst state wins
  const LOCKED = 4, EDITED = 2, RANK = [0, 0, 1, 3, 0];
  const columns = Math.min(last + 1, 2048), rows = Math.min(length, 512);
  const worst = new Uint8Array(rows * columns), locked = new Uint32Array(rows * columns);
  const holds = new Uint32Array(rows * columns), counts = new Uint32Array(rows * columns);
  const edits = new Set(run.edits);
  const stories = Array.from({ length }, () => []);
  const take = (state, at, whys) => {
    const column = Math.floor(at * columns / (last + 1)), edited = edits.has(run.positions[at]);
    for (let i = 0, event = 0; i < length; i++) {
      const change = state.states[i], cell = Math.floor(i * rows / length) * columns + column;
      const rank = edited && RANK[change] ? EDITED : RANK[change];
      if (rank > worst[cell]) worst[cell] = rank;
      if (change !== MASKED && change !== REMASKED) holds[cell]++;
      if (change === LOCKED) locked[cell]++;
      counts[cell]++;
      if (RANK[change]) {
        stories[i].push({ at, change, word: state.words[i], chance: whys[2 * event], draw: whys[2 * event + 1] });
        event++;
      }
    }
  };

  const kept = [copy(start)];
  const moving = copy(start);
  take(moving, 0, []);
  run.steps.forEach((step, i) => {
    advance(moving, step);
    take(moving, i + 1, run.whys[i]);
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
  let position = 0, timer = null, selected = null;

  const canvas = by("cells"), why = by("why"), dark = matchMedia("(prefers-color-scheme: dark)");
  const draw_map = () => {
    const colours = run.colours[dark.matches ? 0 : 1], shades = colours.ground.length - 1;
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
    for (let cell = 0; cell < rows * columns; cell++) {
      const shade = Math.round(shades * holds[cell] / counts[cell]);
      const ground = locked[cell] === counts[cell] ? colours.prompt : colours.ground[shade];
      image.data.set(worst[cell] ? colours.events[worst[cell] - 1] : ground, 4 * cell);
      image.data[4 * cell + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };
  const number = (value) => String(value).replace(/^0\./, ".");
  const reason = (event) => {
    if (edits.has(run.positions[event.at])) return "by hand";
    if (event.chance === undefined) return "";
    if (event.chance < 0) return "masked after the last step: the most probable token";
    const name = event.change === REMASKED ? "sigma" : "p(reveal)";
    return `u = ${number(event.draw)} < ${name} = ${number(event.chance)}`;
  };
  const story = (i, until) => {
    const events = stories[i].filter((event) => event.at <= until);
    const event = events[events.length - 1], where = `position ${i}, step ${run.positions[until]}: `;
    if (!event) return where + (run.start[0][i] === LOCKED ? "prompt" : "masked since the start");
    const what = event.change === REMASKED ? "remasked, was" : "revealed as", text = run.texts[event.word].trimEnd();
    const when = event.at === until ? "" : ` at step ${run.positions[event.at]}`, because = reason(event);
    return `${where}${what} "${text}"${when}${because ? ": " + because : ""}`;
  };
  const mark = () => {
    const width = canvas.clientWidth, height = canvas.clientHeight, line = by("at-position");
    by("at-step").style.left = `${(position + .5) * width / (last + 1) - 1}px`;
    line.hidden = selected === null;
    if (selected !== null) line.style.top = `${(selected + .5) * height / length - 1}px`;
  };
  const select = (i) => {
    if (selected !== null) cells[selected].classList.remove("selected");
    selected = Math.max(0, Math.min(length - 1, i));
    cells[selected].classList.add("selected");
    why.textContent = story(selected, position);
    mark();
  };
  // the first position and step of the worst state in the cell under the pointer
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    const clamp = (value, most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
    const x = clamp((event.clientX - box.left) / box.width * columns, columns);
    const y = clamp((event.clientY - box.top) / box.height * rows, rows);
    const first = (cell, count, all) => Math.ceil(cell * all / count);
    let found = { i: first(y, rows, length), at: first(x, columns, last + 1), rank: 0 };
    for (let i = found.i; i < first(y + 1, rows, length); i++) {
      for (const one of stories[i]) {
        const rank = edits.has(run.positions[one.at]) ? EDITED : RANK[one.change];
        if (Math.floor(one.at * columns / (last + 1)) === x && rank > found.rank) found = { i, at: one.at, rank };
      }
    }
    return found;
  };

  const show = (wanted) => {
    position = Math.max(0, Math.min(last, wanted));
    const now = at(position);
    for (let i = 0; i < length; i++) {
      const state = now.states[i], word = now.words[i];
      if (state === drawn.states[i] && word === drawn.words[i]) continue;
      cells[i].className = run.states[state].name + (i === selected ? " selected" : "");
      cells[i].textContent = shown(state, word);
      drawn.states[i] = state;
      drawn.words[i] = word;
    }
    slider.value = String(position);
    label.textContent = run.labels[position];
    if (selected !== null) why.textContent = story(selected, position);
    mark();
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
    ArrowUp: () => select(selected === null ? 0 : selected - 1),
    ArrowDown: () => select(selected === null ? 0 : selected + 1),
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

  canvas.addEventListener("pointermove", (event) => {
    const place = under(event);
    why.textContent = story(place.i, place.at);
  });
  canvas.addEventListener("pointerleave", () => {
    if (selected !== null) why.textContent = story(selected, position);
  });
  canvas.addEventListener("click", (event) => {
    const place = under(event);
    seek(place.at);
    select(place.i);
  });
  cells.forEach((cell, i) => {
    cell.addEventListener("pointerenter", () => { why.textContent = story(i, position); });
    cell.addEventListener("click", () => select(i));
  });
  addEventListener("resize", mark);
  dark.addEventListener("change", draw_map);
  by("map-title").textContent = `map: ${length} positions x ${run.positions[last]} steps`;
  draw_map();

  slider.max = String(last);
  for (const state of run.states) {
    const sample = document.createElement("span");
    sample.className = state.name;
    sample.textContent = (state.fill ? state.fill + state.fill + " " : "") + state.name;
    by("legend").appendChild(sample);
  }
  show(0);
})();
