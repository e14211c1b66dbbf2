"use strict";
(() => {
  const run = JSON.parse(document.getElementById("run").textContent);
  const MASKED = 0, REMASKED = 3, LOCKED = 4, REPLACED = 5;
  const EDITED = 2, RANK = [0, 0, 1, 3, 0, 2]; // on the map the worst state in a cell wins
  const KEEP = 64; // steps between states that are kept whole
  const length = run.branches[0].start[0].length;
  const by = (id) => document.getElementById(id);
  const number = (value, digits) => (value === null || value === undefined ? "-"
    : (digits === undefined ? String(value) : value.toFixed(digits)).replace(/^0\./, "."));
  const counted = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;

  // -- a branch: its states, the events of each position, and its map

  const copy = (state) => ({ states: state.states.slice(), words: state.words.slice() });
  const advance = (state, step) => {
    for (let i = 0; i < length; i++) state.states[i] = run.next[state.states[i]];
    for (let k = 0, at = 0; k < step.length;) {
      const code = step[k++];
      at += Math.floor(code / 12);
      state.states[at] = (code % 12) >> 1;
      if (code % 2) state.words[at] = step[k++];
    }
  };
  // what a branch shares with another is in that one alone
  const whole = (own) => {
    if (own.of === null) return own;
    const source = whole(run.branches[own.of]), figures = {};
    const joined = (name) => source[name].slice(0, own.from).concat(own[name]);
    for (const name in own.figures) figures[name] = source.figures[name].slice(0, own.from).concat(own.figures[name]);
    return { ...own, start: source.start, steps: joined("steps"), whys: joined("whys"), t: joined("t"), figures };
  };
  const read = (index) => {
    const branch = whole(run.branches[index]), last = branch.steps.length;
    const step = (at) => Math.min(at * run.every, branch.last);
    const columns = Math.min(last + 1, 2048), rows = Math.min(length, 512);
    const map = {
      columns, rows, worst: new Uint8Array(rows * columns), locked: new Uint32Array(rows * columns),
      holds: new Uint32Array(rows * columns), counts: new Uint32Array(rows * columns),
    };
    const edits = new Set(branch.edits);
    const stories = Array.from({ length }, () => []);
    const take = (state, at, why) => {
      const column = Math.floor(at * columns / (last + 1)), edited = edits.has(step(at));
      const [draws, ...chances] = why.length ? why : [[]];
      const seen = [0, 0, 0];
      for (let i = 0, event = 0; i < length; i++) {
        const change = state.states[i], cell = Math.floor(i * rows / length) * columns + column;
        const rank = edited && RANK[change] ? EDITED : RANK[change];
        if (rank > map.worst[cell]) map.worst[cell] = rank;
        if (change !== MASKED && change !== REMASKED) map.holds[cell]++;
        if (change === LOCKED) map.locked[cell]++;
        map.counts[cell]++;
        if (RANK[change]) {
          const kind = change === REMASKED ? 1 : change === REPLACED ? 2 : 0, chance = chances[kind];
          stories[i].push({
            at, change, edited, rank, word: state.words[i], draw: draws[event],
            chance: Array.isArray(chance) ? chance[seen[kind]] : chance,
          });
          event++;
          seen[kind]++;
        }
      }
    };
    const start = { states: Uint8Array.from(branch.start[0]), words: Int32Array.from(branch.start[1]) };
    const kept = [copy(start)], moving = copy(start);
    take(moving, 0, []);
    branch.steps.forEach((changes, i) => {
      advance(moving, changes);
      take(moving, i + 1, branch.whys[i]);
      if ((i + 1) % KEEP === 0) kept.push(copy(moving));
    });
    const at = (position) => {
      const state = copy(kept[Math.floor(position / KEEP)]);
      for (let i = position - (position % KEEP); i < position; i++) advance(state, branch.steps[i]);
      return state;
    };
    return { ...branch, last, step, map, stories, at, locked: (i) => branch.start[0][i] === LOCKED };
  };
  const known = [];
  const course = (index) => (known[index] ??= read(index));

  // -- in words

  const reason = (event) => {
    if (event.edited) return "by hand";
    if (event.chance === undefined) return "";
    if (event.chance < 0) return "masked after the last step: the most probable token";
    const name = { [REMASKED]: "sigma", [REPLACED]: "sigma + p(edit)" }[event.change] || "p(reveal)";
    return `u = ${number(event.draw)} < ${name} = ${number(event.chance)}`;
  };
  const story = (of, i, until) => {
    const events = of.stories[i].filter((event) => event.at <= until);
    const event = events[events.length - 1], where = `position ${i}, step ${of.step(until)}: `;
    if (!event) return where + (of.locked(i) ? "prompt" : "masked since the start");
    const what = { [REMASKED]: "remasked, was", [REPLACED]: "edited to" }[event.change] || "revealed as", text = run.texts[event.word].trimEnd();
    const when = event.at === until ? "" : ` at step ${of.step(event.at)}`, because = reason(event);
    const times = events.filter((one) => one.change === REMASKED).length;
    const often = times > 1 ? ` (remasked ${times} times so far)` : "";
    return `${where}${what} "${text}"${when}${because ? ": " + because : ""}${often}`;
  };
  const figures = (of, at) => {
    const total = `step ${of.step(at)} of ${Math.max(run.total, of.step(of.last))}`;
    if (at === 0) return total;
    const value = (name) => of.figures[name][at - 1];
    return `${total} · t ${number(of.t[at - 1], 4)} · masked ${value("masked")} of ${length} · `
      + `revealed ${value("revealed")} · remasked ${value("remasked")} · network calls ${value("calls")}`;
  };
  const settings = (of, at) => {
    if (!of.settings.length) return "";
    // the settings from step i on made position i + 1
    const made = of.settings.filter(([first]) => first < of.step(at)).pop();
    return made ? made[1] : "next: " + of.settings[0][1];
  };

  // -- drawing

  let position = 0, timer = null, selected = null, panes = [], printing = false;
  const root = document.documentElement, why = by("why"), media = matchMedia("(prefers-color-scheme: dark)");
  const slider = by("slider"), play = by("play"), speed = by("speed");
  const is_dark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : media.matches);
  const fill = (glyph, width) => (width > 1 ? " " + glyph.repeat(width - 1) : glyph);
  const shown = (state, word) => {
    if (state === MASKED) return fill(run.states[state].fill, run.mask);
    if (state === REMASKED) return fill(run.states[state].fill, run.widths[word]);
    return run.texts[word];
  };
  const element = (name, parent, text = "") => {
    const made = parent.appendChild(document.createElement(name));
    made.textContent = text;
    return made;
  };
  const greatest = (name) => Math.max(1, ...run.branches.map((one) => one.figures[name].reduce((a, b) => Math.max(a, b), 0)));
  const CHARTS = [
    { name: "masked", label: "masked, 1 - alpha", over: Math.max(1, run.unlocked), top: 1, reference: "expected", digits: 3 },
    { name: "remasked", label: "remasked a step", over: 1, top: greatest("remasked") },
    { name: "calls", label: run.batch > 1 ? "network calls (mean)" : "network calls", over: run.batch,
      top: greatest("calls") / run.batch },
    { name: "confidence", label: "confidence", over: 1, top: 1, digits: 3 },
  ];
  const path = (values, over, top) => {
    let d = "", on = false;
    values.forEach((value, i) => {
      if (value !== null) d += `${on ? "L" : "M"}${i + 1.5} ${(99 - 98 * value / over / top).toFixed(1)}`;
      on = value !== null;
    });
    return d;
  };
  const chart = (of, kind, parent, go) => {
    const box = parent.appendChild(by("chart").content.firstElementChild.cloneNode(true));
    const [label, value] = box.querySelectorAll("span"), frame = box.querySelector("svg");
    const add = (name, d) => {
      const made = frame.appendChild(document.createElementNS(frame.namespaceURI, "path"));
      made.setAttribute("class", name);
      made.setAttribute("d", d);
      return made;
    };
    label.textContent = kind.label;
    frame.setAttribute("viewBox", `0 0 ${of.last + 1} 100`);
    frame.setAttribute("aria-label", kind.label);
    for (const [first] of of.settings.slice(1)) add("changed", `M${Math.ceil((first + 1) / run.every) + .5} 0V100`);
    if (kind.reference) add("reference", path(of.figures[kind.reference], 1, kind.top));
    add("values", path(of.figures[kind.name], kind.over, kind.top));
    const now = add("now", "");
    const place = (event) => {
      const bounds = frame.getBoundingClientRect();
      go(Math.max(0, Math.min(of.last, Math.floor((event.clientX - bounds.left) / bounds.width * (of.last + 1)))));
    };
    frame.addEventListener("pointerdown", place);
    frame.addEventListener("pointermove", (event) => { if (event.buttons & 1) place(event); });
    const figure = (at, name, over) => {
      const found = of.figures[name][at - 1];
      return number(found === null || found === undefined ? null : Number((found / over).toFixed(3)), kind.digits);
    };
    return (at) => {
      now.setAttribute("d", `M${at + .5} 0V100`);
      const alpha = kind.reference && at ? `, ${figure(at, kind.reference, 1)}` : "";
      const most = kind.name === "remasked" ? ` of max ${kind.top}` : "";
      value.textContent = at ? figure(at, kind.name, kind.over) + alpha + most : "-";
    };
  };

  const pane = (index, several) => {
    const of = course(index), article = by("pane").content.firstElementChild.cloneNode(true);
    const part = (selector) => article.querySelector(selector);
    const text = part(".text"), canvas = part("canvas"), { columns, rows, worst, locked, holds, counts } = of.map;
    const here = () => Math.min(position, of.last), name = several ? of.name.split(/[,:]/)[0] + ", " : "";
    const cells = Array.from({ length }, () => element("span", text));
    const numbers = new Map(cells.map((cell, i) => [cell, i]));
    const drawn = { states: new Uint8Array(length).fill(255), words: new Int32Array(length) };
    let tallest = 0;
    const charts = CHARTS.map((kind) => chart(of, kind, part(".curves"), (at) => seek(at)));
    part("h2").textContent = `map: ${counted(length, "position")} x ${counted(of.step(of.last), "step")}`;

    const paint = () => {
      const colours = run.colours[is_dark() ? 0 : 1], shades = colours.ground.length - 1;
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
    const mark = () => {
      const line = part(".at-position");
      part(".at-step").style.left = `${(here() + .5) * 100 / (of.last + 1)}%`;
      line.hidden = selected === null;
      if (selected !== null) line.style.top = `${(selected + .5) * 100 / length}%`;
      cells.forEach((cell, i) => cell.classList.toggle("selected", i === selected));
    };
    // a text that grows keeps its height, so that nothing below it moves
    const hold = (fresh) => {
      if (fresh) tallest = 0;
      text.style.minHeight = "";
      tallest = Math.max(tallest, text.offsetHeight);
      text.style.minHeight = `${tallest}px`;
    };
    const draw = () => {
      const now = of.at(here());
      for (let i = 0; i < length; i++) {
        const state = now.states[i], word = now.words[i];
        if (state === drawn.states[i] && word === drawn.words[i]) continue;
        cells[i].className = run.states[state].name;
        cells[i].textContent = shown(state, word);
        drawn.states[i] = state;
        drawn.words[i] = word;
      }
      part(".label").textContent = (several ? of.name + " · " : "") + figures(of, here());
      part(".settings").textContent = settings(of, here());
      charts.forEach((update) => update(here()));
      mark();
      hold(false);
    };
    // the first position and step of the worst state in the cell under the pointer
    const under = (event) => {
      const box = canvas.getBoundingClientRect();
      const clamp = (value, most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
      const x = clamp((event.clientX - box.left) / box.width * columns, columns);
      const y = clamp((event.clientY - box.top) / box.height * rows, rows);
      const first = (cell, count, all) => Math.ceil(cell * all / count);
      let found = { i: first(y, rows, length), at: first(x, columns, of.last + 1), rank: 0 };
      for (let i = found.i; i < first(y + 1, rows, length); i++) {
        for (const { at, rank } of of.stories[i]) {
          if (Math.floor(at * columns / (of.last + 1)) === x && rank > found.rank) found = { i, at, rank };
        }
      }
      return found;
    };
    const tell = (i, at) => { why.textContent = name + story(of, i, at); };
    canvas.addEventListener("pointermove", (event) => {
      const place = under(event);
      tell(place.i, place.at);
    });
    canvas.addEventListener("click", (event) => {
      const place = under(event);
      seek(place.at);
      select(place.i);
    });
    text.addEventListener("pointerover", (event) => {
      if (numbers.has(event.target)) tell(numbers.get(event.target), here());
    });
    text.addEventListener("click", (event) => { if (numbers.has(event.target)) select(numbers.get(event.target)); });
    for (const left of [canvas, text]) left.addEventListener("pointerleave", explain);
    return { of, article, paint, mark, draw, hold, story: () => name + story(of, selected, here()) };
  };

  // -- what a person does

  const explain = () => { if (selected !== null) why.textContent = panes.map((one) => one.story()).join("\n"); };
  const last = () => Math.max(...panes.map((one) => one.of.last));
  const select = (i) => {
    selected = Math.max(0, Math.min(length - 1, i));
    panes.forEach((one) => one.mark());
    explain();
  };
  const show = (wanted) => {
    position = Math.max(0, Math.min(last(), wanted));
    panes.forEach((one) => one.draw());
    slider.value = String(position);
    explain();
  };
  const open = () => {
    const beside = by("beside").value, chosen = [by("branch").value, ...(beside ? [beside] : [])];
    panes = chosen.map((index) => pane(Number(index), chosen.length > 1));
    by("panes").replaceChildren(...panes.map((one) => one.article));
    by("panes").className = panes.length > 1 ? "beside" : "alone";
    slider.max = String(last());
    panes.forEach((one) => one.paint());
    show(position);
  };
  const pause = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶";
  };
  const tick = () => (position < last() ? show(position + 1) : pause());
  const start_playing = () => {
    if (position === last()) show(0);
    timer = setInterval(tick, 1000 / Number(speed.value));
    play.textContent = "‖";
  };
  const toggle = () => (timer === null ? start_playing() : pause());
  const seek = (wanted) => { pause(); show(wanted); };
  const remask = (way) => {
    if (selected === null) { why.textContent = "Click a token first: n and p go through its remasks"; return; }
    const steps = panes[0].of.stories[selected].filter((event) => event.change === REMASKED).map((event) => event.at);
    const found = way > 0 ? steps.find((at) => at > position) : steps.reverse().find((at) => at < position);
    if (found === undefined) why.textContent = `position ${selected}: no ${way > 0 ? "later" : "earlier"} remask`;
    else seek(found);
  };
  const keys = {
    " ": toggle,
    ArrowLeft: () => seek(position - 1),
    ArrowRight: () => seek(position + 1),
    Home: () => seek(0),
    End: () => seek(last()),
    ArrowUp: () => select(selected === null ? 0 : selected - 1),
    ArrowDown: () => select(selected === null ? 0 : selected + 1),
    n: () => remask(1),
    p: () => remask(-1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT" || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  // a button that keeps the focus would take the space bar for itself
  play.addEventListener("click", () => { play.blur(); toggle(); });
  slider.addEventListener("input", () => seek(Number(slider.value)));
  speed.addEventListener("change", () => { if (timer !== null) { pause(); start_playing(); } });

  const recolour = () => {
    const colours = run.colours[is_dark() ? 0 : 1], events = colours.events;
    const marks = [colours.ground[0], colours.ground[colours.ground.length - 1], events[0], events[2], colours.prompt, events[1]];
    document.querySelectorAll(".swatch").forEach((swatch, i) => { swatch.style.background = `rgb(${marks[i]})`; });
    panes.forEach((one) => one.paint());
  };
  const print = (now) => {
    printing = now;
    why.hidden = now && selected === null; // nobody points at paper
    recolour();
  };
  by("theme").addEventListener("click", () => {
    by("theme").blur();
    root.dataset.theme = is_dark() ? "light" : "dark";
    recolour();
  });
  media.addEventListener("change", recolour);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  addEventListener("resize", () => panes.forEach((one) => one.hold(true)));

  const by_hand = run.branches.some((one) => one.edits.length) ? [{ name: "by hand", fill: "" }] : [];
  for (const state of [...run.states, ...by_hand]) {
    const legend = by("legend");
    element("span", legend).className = "swatch";
    element("span", legend, (state.fill ? state.fill + state.fill + " " : "") + state.name).className = state.name;
  }
  run.branches.forEach((one, i) => {
    for (const id of ["branch", "beside"]) element("option", by(id), one.name).value = String(i);
  });
  const none = document.createElement("option");
  none.value = "";
  none.textContent = "nothing";
  by("beside").prepend(none);
  by("beside").value = "";
  for (const id of ["branch", "beside"]) by(id).addEventListener("change", () => { pause(); open(); });
  by("choose").hidden = run.branches.length + run.left_out.length < 2;
  if (run.left_out.length) element("span", by("choose"), `left out, too large for one page: ${run.left_out.join(", ")}`);
  position = Math.ceil(run.position / run.every);
  open();
  recolour();
})();
