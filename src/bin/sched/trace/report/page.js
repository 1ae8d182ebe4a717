// The chart that can be zoomed, the theme, and the order of the table. Text comes from anybody: it goes into the page as text only.
'use strict';
(() => {
  const ROW = 26, BAR = 18, TOP = 4, THIN = 3, LISTED = 200;
  const $ = id => document.getElementById(id);
  const data = JSON.parse($('data').textContent);
  const number = n => Math.round(n).toLocaleString('en');
  const plural = (n, thing) => `${number(n)} ${thing}${n === 1 ? '' : 's'}`;

  // ---- The theme: that of the system, until somebody wants another.
  const themes = ['auto', 'light', 'dark'];
  let theme = 0;
  const showTheme = () => {
    const root = document.documentElement;
    if (theme === 0) delete root.dataset.theme; else root.dataset.theme = themes[theme];
    $('theme').textContent = `Theme: ${themes[theme]}`;
  };
  $('theme').hidden = false;
  $('theme').addEventListener('click', () => {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    // The first click changes something.
    const order = dark ? [0, 1, 2] : [0, 2, 1];
    theme = order[(order.indexOf(theme) + 1) % 3];
    showTheme();
    restyle();
  });

  // ---- The table of tasks, in another order.
  const valueOf = cell => {
    if (cell.dataset.n) return Number(cell.dataset.n);
    const n = Number(cell.textContent.replace(/[,%\s]/g, ''));
    return Number.isNaN(n) ? -1 : n;
  };
  document.querySelectorAll('table.tasks').forEach(table => {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = head.textContent;
      head.replaceChildren(button);
      const numeric = head.classList.contains('n');
      button.addEventListener('click', () => {
        const down = head.ariaSort ? head.ariaSort === 'ascending' : numeric;
        [...table.tHead.rows[0].cells].forEach(other => { other.ariaSort = null; });
        head.ariaSort = down ? 'descending' : 'ascending';
        const order = numeric
          ? (a, b) => valueOf(a.cells[column]) - valueOf(b.cells[column])
          : (a, b) => a.cells[column].textContent.localeCompare(b.cells[column].textContent, 'en', { numeric: true });
        body.append(...[...body.rows].sort((a, b) => (down ? -1 : 1) * order(a, b)));
      });
    });
  });

  // ---- What is drawn.
  const { rows, slices, waits, messages, idle, cells, words, end: runEnd, exactUntil } = data;
  const count = slices.at.length;
  const hasIdle = idle.length > 0 || (cells && cells.idle.length > 0);
  const lines = rows.length + (hasIdle ? 1 : 0);
  const idleRow = hasIdle ? rows.length : -1;
  let restyle = () => {};
  if (!(runEnd > 0) || rows.length === 0) { showTheme(); return; }

  const byRow = (list, of) => {
    const all = Array.from({ length: lines }, () => []);
    list.forEach((row, i) => all[row].push(of(i)));
    return all;
  };
  const ends = slices.at.map((at, i) => at + slices.charged[i]);
  const sliceRows = byRow(slices.row, i => i);
  const waitRows = byRow(waits.row, i => i);
  const waitEnd = i => waits.to[i] ?? runEnd;
  // Messages come in the order of their slices.
  const messagesOf = (i, sent) => {
    const all = [];
    for (let k = firstWhere(messages.slice, slice => slice >= i); messages.slice[k] === i; k++) {
      if (messages.sent[k] === sent) all.push(`${words[messages.channel[k]]} ${number(messages.number[k])}`);
    }
    return all.length > 10 ? [...all.slice(0, 10), `and ${number(all.length - 10)} more`] : all;
  };

  // Stretches of which only sums are known, from where single slices end: [from, to, amount]. What is in single slices is taken off the first.
  const stretches = (pairs, known) => {
    const all = [];
    if (!cells || !pairs) return all;
    for (let k = 0; k < pairs.length; k += 2) {
      const from = pairs[k] * cells.width, to = Math.min(from + cells.width, runEnd);
      if (to <= exactUntil) continue;
      let amount = pairs[k + 1];
      if (from < exactUntil) amount -= known(from, exactUntil);
      if (amount > 0) all.push([Math.max(from, exactUntil), to, amount]);
    }
    return all;
  };
  const overlap = (from, to, a, b) => Math.max(0, Math.min(to, b) - Math.max(from, a));
  const ranStretches = rows.map((_, row) => stretches(cells && cells.ran[row],
    (a, b) => sliceRows[row].reduce((sum, i) => sum + overlap(slices.at[i], ends[i], a, b), 0)));
  const waitStretches = rows.map((_, row) => stretches(cells && cells.waited[row],
    (a, b) => waitRows[row].reduce((sum, i) => sum + overlap(waits.from[i], waitEnd(i), a, b), 0)));
  const idlePairs = [];
  for (let k = 0; k < idle.length; k += 2) idlePairs.push([idle[k], idle[k + 1]]);
  const idleStretches = stretches(cells && cells.idle,
    (a, b) => idlePairs.reduce((sum, [from, to]) => sum + overlap(from, to, a, b), 0));

  // ---- How it looks: for each way to stop a colour, and a pattern.
  const kinds = [
    { name: 'preempted', colour: ['#0072b2', '#56b4e9'], pattern: 'plain' },
    { name: 'yielded', colour: ['#009e73', '#2fd0a5'], pattern: 'dots' },
    { name: 'waits', colour: ['#e69f00', '#e69f00'], pattern: 'slope' },
    { name: 'returned or exited', colour: ['#cc79a7', '#e6a3c8'], pattern: 'upright' },
    { name: 'ended otherwise', colour: ['#d55e00', '#ff8a3c'], pattern: 'cross' },
  ];
  const kindOf = words.map(word => {
    if (word === 'preempted') return 0;
    if (word === 'yielded') return 1;
    if (word === 'returned' || word === 'exited') return 3;
    return ['trapped', 'out-of-fuel', 'killed', 'stopped', 'deadlocked', 'failed', 'ended'].includes(word) ? 4 : 2;
  });
  let look = null;
  const isDark = () => (theme === 0 ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 2);
  const tile = (colour, pattern, ink) => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 16;
    const c = canvas.getContext('2d');
    c.scale(2, 2);
    if (colour) { c.fillStyle = colour; c.fillRect(0, 0, 8, 8); }
    c.strokeStyle = c.fillStyle = ink;
    c.lineWidth = 1;
    c.beginPath();
    if (pattern === 'dots') { c.fillRect(1, 1, 2, 2); c.fillRect(5, 5, 2, 2); }
    if (pattern === 'slope' || pattern === 'cross') { c.moveTo(-1, 9); c.lineTo(9, -1); c.moveTo(-1, 1); c.lineTo(1, -1); c.moveTo(7, 9); c.lineTo(9, 7); }
    if (pattern === 'cross') { c.moveTo(-1, -1); c.lineTo(9, 9); c.moveTo(7, -1); c.lineTo(9, 1); c.moveTo(-1, 7); c.lineTo(1, 9); }
    if (pattern === 'upright') { c.moveTo(2, 0); c.lineTo(2, 8); c.moveTo(6, 0); c.lineTo(6, 8); }
    c.stroke();
    return canvas;
  };
  const canvas = $('canvas'), axis = $('axis');
  const g = canvas.getContext('2d'), a = axis.getContext('2d');
  const asPattern = (context, image) => {
    const pattern = context.createPattern(image, 'repeat');
    pattern.setTransform(new DOMMatrix().scale(0.5));
    return pattern;
  };
  const style = () => {
    const dark = isDark() ? 1 : 0;
    const of = getComputedStyle(document.documentElement);
    const value = name => of.getPropertyValue(name).trim();
    const ink = dark ? '#0009' : '#fff9';
    const tiles = kinds.map(kind => tile(kind.colour[dark], kind.pattern, ink));
    const waiting = tile(null, 'slope', dark ? '#9aa5b1' : '#777');
    look = {
      paper: value('--paper'), ink: value('--ink'), soft: value('--soft'), line: value('--line'), panel: value('--panel'),
      ran: value('--ran'), focus: value('--focus'), onBar: dark ? '#000' : '#fff',
      tiles, waiting,
      fills: tiles.map(image => asPattern(g, image)), waits: asPattern(g, waiting), idle: '#888',
    };
  };

  // ---- The legend, of what there is.
  const legend = () => {
    const seen = new Set(slices.stop.map(word => kindOf[word]));
    const entries = kinds.map((kind, k) => [look.tiles[k], kind.name, seen.has(k)]);
    entries.push([look.waiting, 'waited', waits.row.length > 0 || waitStretches.some(all => all.length > 0)]);
    const items = entries.filter(([, , there]) => there).map(([image, name]) => {
      const item = document.createElement('li'), swatch = document.createElement('canvas');
      swatch.width = 36; swatch.height = 24;
      swatch.style.width = '18px'; swatch.style.height = '12px';
      const c = swatch.getContext('2d');
      c.fillStyle = c.createPattern(image, 'repeat');
      c.fillRect(0, 0, 36, 24);
      c.strokeStyle = look.soft;
      c.strokeRect(0.5, 0.5, 35, 23);
      item.append(swatch, name);
      return item;
    });
    const last = document.createElement('li');
    last.textContent = 'Where slices are too narrow: one bar, as high as the part of the stretch that the task ran. A thin frame: it was there.';
    items.push(last);
    $('legend').replaceChildren(...items);
  };

  // ---- What is seen of it.
  // No closer than numbers can be told apart.
  const least = Math.min(runEnd, Math.max(8, (data.origin + runEnd) / 2 ** 46));
  let view = { from: 0, to: runEnd };
  let current = 0, chosen = null, width = 1, height = 1, asked = false;
  const frame = $('frame'), plot = $('plot');
  const scale = () => width / (view.to - view.from);
  const see = (from, span) => {
    span = Math.min(runEnd, Math.max(least, span));
    from = Math.max(0, Math.min(runEnd - span, from));
    view = { from, to: from + span };
    ask();
  };
  const zoom = (factor, place) => {
    const span = view.to - view.from, at = view.from + span * place;
    const next = Math.min(runEnd, Math.max(least, span * factor));
    see(at - next * place, next);
  };
  const pan = part => see(view.from + (view.to - view.from) * part, view.to - view.from);
  const ask = () => {
    if (!asked) { asked = true; requestAnimationFrame(draw); }
  };

  // The first of a sorted list for which it is so.
  const firstWhere = (list, is) => {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (is(list[middle])) high = middle; else low = middle + 1;
    }
    return low;
  };

  // ---- Drawing.
  const fit = (element, w, h, context) => {
    const ratio = window.devicePixelRatio || 1;
    if (element.width !== Math.round(w * ratio) || element.height !== Math.round(h * ratio)) {
      element.width = Math.round(w * ratio);
      element.height = Math.round(h * ratio);
      element.style.width = `${w}px`;
      element.style.height = `${h}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
  };
  // Adds a stretch of pixels, of which this part is filled.
  const cover = (covered, x0, x1, part) => {
    x0 = Math.max(0, x0); x1 = Math.min(covered.length, x1);
    if (x1 <= x0) return;
    const first = Math.floor(x0), last = Math.min(covered.length - 1, Math.floor(x1));
    if (first === last) { covered[first] += (x1 - x0) * part; return; }
    covered[first] += (first + 1 - x0) * part;
    for (let x = first + 1; x < last; x++) covered[x] += part;
    covered[last] += (x1 - last) * part;
  };
  const drawCovered = (covered, y, fill, tall) => {
    g.fillStyle = fill;
    for (let x = 0; x < covered.length;) {
      const h = covered[x] > 0 ? Math.max(1, Math.round(Math.min(1, covered[x]) * tall)) : 0;
      let to = x + 1;
      while (to < covered.length && (covered[to] > 0 ? Math.max(1, Math.round(Math.min(1, covered[to]) * tall)) : 0) === h) to++;
      if (h > 0) g.fillRect(x, y + tall - h, to - x, h);
      x = to;
    }
  };
  const drawSlices = (row, y, covered) => {
    const list = sliceRows[row], s = scale();
    for (let k = firstWhere(list, i => ends[i] > view.from); k < list.length; k++) {
      const i = list[k];
      if (slices.at[i] >= view.to) break;
      const x0 = (slices.at[i] - view.from) * s, x1 = (ends[i] - view.from) * s;
      if (x1 - x0 < THIN) { cover(covered, x0, x1, 1); continue; }
      const left = Math.max(-2, x0), right = Math.min(width + 2, x1 - 1);
      g.fillStyle = look.fills[kindOf[slices.stop[i]]];
      g.fillRect(left, y, right - left, BAR);
      if (right - left > 54) {
        const text = `${number(slices.number[i])}: ${number(slices.used[i])}`;
        const w = g.measureText(text).width;
        if (w + 10 < right - left) {
          g.fillStyle = look.paper;
          g.fillRect(left + 3, y + 3, w + 4, BAR - 6);
          g.fillStyle = look.ink;
          g.fillText(text, left + 5, y + BAR - 5);
        }
      }
    }
  };
  const drawStretches = (all, covered) => {
    const s = scale();
    for (let k = firstWhere(all, ([, to]) => to > view.from); k < all.length && all[k][0] < view.to; k++) {
      const [from, to, amount] = all[k];
      cover(covered, (from - view.from) * s, (to - view.from) * s, amount / (to - from));
    }
  };
  const drawRow = (row, y) => {
    const s = scale(), there = rows[row];
    const from = Math.max(-2, (there.from - view.from) * s);
    const to = Math.min(width + 2, ((there.to ?? runEnd) - view.from) * s);
    if (to > from) {
      g.strokeStyle = look.line;
      g.strokeRect(from + 0.5, y + 0.5, to - from - 1, BAR - 1);
    }
    g.fillStyle = look.waits;
    const list = waitRows[row];
    for (let k = firstWhere(list, i => waitEnd(i) > view.from); k < list.length && waits.from[list[k]] < view.to; k++) {
      const x0 = Math.max(-2, (waits.from[list[k]] - view.from) * s), x1 = Math.min(width + 2, (waitEnd(list[k]) - view.from) * s);
      g.fillRect(x0, y + 5, Math.max(0.5, x1 - x0), BAR - 10);
    }
    const waited = new Float32Array(Math.ceil(width));
    drawStretches(waitStretches[row], waited);
    drawCovered(waited, y + 5, look.waits, BAR - 10);
    const covered = new Float32Array(Math.ceil(width));
    drawSlices(row, y, covered);
    drawStretches(ranStretches[row], covered);
    drawCovered(covered, y, look.ran, BAR);
  };
  const drawIdle = y => {
    const covered = new Float32Array(Math.ceil(width)), s = scale();
    for (let k = firstWhere(idlePairs, ([, to]) => to > view.from); k < idlePairs.length && idlePairs[k][0] < view.to; k++) {
      cover(covered, (idlePairs[k][0] - view.from) * s, (idlePairs[k][1] - view.from) * s, 1);
    }
    drawStretches(idleStretches, covered);
    drawCovered(covered, y, look.idle, BAR);
  };
  const drawChosen = () => {
    if (!chosen || chosen.kind !== 'slice') return;
    const i = chosen.i, s = scale(), y = slices.row[i] * ROW + TOP;
    const x0 = Math.max(-4, (slices.at[i] - view.from) * s), x1 = Math.min(width + 4, (ends[i] - view.from) * s);
    g.strokeStyle = look.focus;
    g.lineWidth = 2;
    g.strokeRect(x0 - 1, y - 2, Math.max(3, x1 - x0 + 1), BAR + 4);
    g.lineWidth = 1;
  };
  const drawAxis = () => {
    const offset = $('names').offsetWidth + 1, whole = axis.parentElement.clientWidth;
    fit(axis, whole, 34, a);
    a.fillStyle = a.strokeStyle = look.soft;
    a.font = '12px system-ui, sans-serif';
    a.fillText('fuel', 8, 20);
    const span = view.to - view.from, widest = a.measureText(number(data.origin + view.to)).width + 24;
    let step = 10 ** Math.floor(Math.log10(span * widest / width));
    step = Math.max(1, [1, 2, 5, 10].map(n => n * step).find(n => n * width / span >= widest) || step * 10);
    for (let at = Math.ceil((data.origin + view.from) / step) * step; at <= data.origin + view.to; at += step) {
      const x = offset + (at - data.origin - view.from) * scale();
      const text = number(at), half = a.measureText(text).width / 2;
      a.fillRect(x, 0, 1, 6);
      a.fillText(text, Math.min(whole - 2 * half, Math.max(offset, x - half)), 20);
    }
    const shown = `${number(data.origin + view.from)} to ${number(data.origin + view.to)} fuel`;
    $('view').textContent = span < runEnd ? `${shown}, ${(span / runEnd * 100).toPrecision(2)} % of the run` : shown;
  };
  const draw = () => {
    asked = false;
    const began = performance.now();
    width = Math.max(1, plot.clientWidth);
    height = Math.min(frame.clientHeight, lines * ROW);
    fit(canvas, width, height, g);
    g.font = '11px system-ui, sans-serif';
    const top = frame.scrollTop;
    g.save();
    g.translate(0, -top);
    const last = Math.min(lines - 1, Math.floor((top + height) / ROW));
    for (let row = Math.floor(top / ROW); row <= last; row++) {
      if (row === current) { g.fillStyle = look.panel; g.fillRect(0, row * ROW, width, ROW); }
      if (row === idleRow) drawIdle(row * ROW + TOP); else drawRow(row, row * ROW + TOP);
    }
    drawChosen();
    g.restore();
    if (exactUntil !== null && exactUntil > view.from && exactUntil < view.to) {
      const x = (exactUntil - view.from) * scale();
      g.strokeStyle = look.ink;
      g.setLineDash([4, 3]);
      g.beginPath(); g.moveTo(x, 0); g.lineTo(x, height); g.stroke();
      g.setLineDash([]);
    }
    drawAxis();
    list();
    performance.clearMeasures('draw');
    performance.measure('draw', { start: began });
  };

  // ---- The same as a table, once nothing moves any more.
  const every = slices.at.map((_, i) => i);
  let listing = 0;
  const list = () => {
    clearTimeout(listing);
    if ($('listing').open) listing = setTimeout(listNow, 120);
  };
  const cell = (kind, content, numeric) => {
    const element = document.createElement(kind);
    if (numeric) element.className = 'n';
    element.append(content);
    return element;
  };
  const listNow = () => {
    const first = firstWhere(every, i => ends[i] > view.from), last = firstWhere(every, i => slices.at[i] >= view.to);
    const columns = ['Clock', 'Task', 'Slice', 'Picked because', 'Granted', 'Used', 'Overshoot', 'Stopped'];
    const numeric = [true, false, true, false, true, true, true, false];
    const head = document.createElement('tr');
    head.append(...columns.map((column, n) => cell('th', column, numeric[n])));
    const lines = every.slice(first, Math.min(last, first + LISTED)).map(i => {
      const line = document.createElement('tr'), show = document.createElement('button'), name = document.createElement('bdi');
      show.type = 'button';
      show.textContent = number(slices.number[i]);
      show.addEventListener('click', () => { setCurrent(slices.row[i]); choose({ kind: 'slice', i }); });
      name.textContent = rows[slices.row[i]].name;
      const over = Math.max(0, slices.used[i] - slices.grant[i]);
      const texts = [clock(slices.at[i]), name, show, words[slices.why[i]], number(slices.grant[i]), number(slices.used[i]), number(over), words[slices.stop[i]]];
      line.append(...texts.map((text, n) => cell('td', text, numeric[n])));
      return line;
    });
    const table = document.querySelector('table.listing'), top = document.createElement('thead'), body = document.createElement('tbody');
    top.append(head);
    body.append(...lines);
    table.replaceChildren(top, body);
    const more = last - first > LISTED ? ` The first ${LISTED} are listed: zoom in for others.` : '';
    const sums = exactUntil !== null && exactUntil < view.to ? ' Single slices are not kept to the end of it.' : '';
    $('listed').textContent = `${plural(last - first, 'slice')} in view.${more}${sums}`;
  };
  $('listing').addEventListener('toggle', list);

  // ---- What is at a place.
  const at = (row, moment) => {
    if (row === idleRow) {
      const k = firstWhere(idlePairs, ([, to]) => to > moment);
      if (k < idlePairs.length && idlePairs[k][0] <= moment) return { kind: 'idle', from: idlePairs[k][0], to: idlePairs[k][1] };
      return stretchAt(idleStretches, row, moment);
    }
    const list = sliceRows[row], k = firstWhere(list, i => ends[i] > moment), near = 2 / scale();
    const away = i => (i === undefined ? Infinity : Math.max(0, slices.at[i] - moment, moment - ends[i]));
    const nearest = away(list[k]) <= away(list[k - 1]) ? list[k] : list[k - 1];
    if (away(nearest) <= near) return { kind: 'slice', i: nearest };
    const w = waitRows[row].find(i => waits.from[i] <= moment && waitEnd(i) > moment);
    if (w !== undefined) return { kind: 'wait', i: w };
    return stretchAt(ranStretches[row], row, moment);
  };
  const stretchAt = (all, row, moment) => {
    const k = firstWhere(all, ([, to]) => to > moment);
    if (k < all.length && all[k][0] <= moment) return { kind: 'stretch', row, from: all[k][0], to: all[k][1], amount: all[k][2] };
    return null;
  };
  const clock = moment => number(data.origin + moment);
  const time = ns => (ns < 1e3 ? `${ns} ns` : ns < 1e6 ? `${(ns / 1e3).toPrecision(3)} µs` : `${(ns / 1e6).toPrecision(3)} ms`);
  const nameOf = row => (row === idleRow ? 'idle' : rows[row].name);
  const described = what => {
    if (what.kind === 'slice') {
      const i = what.i, row = slices.row[i];
      const pairs = [['Clock', `${clock(slices.at[i])} to ${clock(ends[i])}`]];
      const why = words[slices.why[i]];
      if (why) pairs.push(['Picked because', why]);
      pairs.push(['Granted', `${number(slices.grant[i])} fuel`], ['Used', `${number(slices.used[i])} fuel`]);
      pairs.push(['Overshoot', `${number(Math.max(0, slices.used[i] - slices.grant[i]))} fuel`], ['Stopped', words[slices.stop[i]]]);
      for (const [term, sent] of [['Received', 0], ['Sent', 1]]) {
        const passed = messagesOf(i, sent);
        if (passed.length > 0) pairs.push([term, passed.join(', ')]);
      }
      const w = waitRows[row] && waitRows[row][firstWhere(waitRows[row], j => waits.from[j] >= ends[i])];
      if (w !== undefined && waits.from[w] === ends[i]) pairs.push(['Then', `${words[waits.on[w]]}, ${waitTime(w)}`]);
      if (slices.ns) pairs.push(['Took', time(slices.ns[i])]);
      if (slices.charged[i] !== slices.used[i]) pairs.push(['Charged', `${number(slices.charged[i])} fuel`]);
      return [`${nameOf(row)}, slice ${number(slices.number[i])}`, pairs];
    }
    if (what.kind === 'wait') {
      return [nameOf(waits.row[what.i]), [[words[waits.on[what.i]], waitTime(what.i)], ['Clock', `${clock(waits.from[what.i])} to ${clock(waitEnd(what.i))}`]]];
    }
    const stretch = [['Clock', `${clock(what.from)} to ${clock(what.to)}`]];
    if (what.kind === 'idle') return ['Nobody could run', [...stretch, ['Idle', `${number(what.to - what.from)} fuel`]]];
    const part = `${number(what.amount)} fuel, ${(what.amount / (what.to - what.from) * 100).toFixed(1)} %`;
    return [nameOf(what.row), [...stretch, [what.row === idleRow ? 'Idle' : 'Ran', part], ['Single slices', 'not kept here']]];
  };
  const waitTime = i => (waits.to[i] === null ? 'and it was not over' : `${number(waits.to[i] - waits.from[i])} fuel`);
  const fill = (element, what) => {
    const [title, pairs] = described(what);
    const head = document.createElement('h3'), list = document.createElement('dl'), name = document.createElement('bdi');
    name.textContent = title;
    head.append(name);
    for (const [term, value] of pairs) {
      const pair = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
      dt.textContent = term;
      dd.textContent = value;
      if (element === $('tip')) list.append(dt, dd); else { pair.append(dt, dd); list.append(pair); }
    }
    element.replaceChildren(head, list);
    element.hidden = false;
  };
  const choose = what => {
    chosen = what;
    if (what) fill($('details'), what); else $('details').hidden = true;
    ask();
  };
  // Shows a slice of the row, and moves the view if it is not in it.
  const chooseSlice = i => {
    if (i === undefined) return;
    const span = view.to - view.from;
    if (slices.at[i] < view.from || ends[i] > view.to) see(slices.at[i] - (span - slices.charged[i]) / 2, Math.max(span, slices.charged[i] * 1.2));
    choose({ kind: 'slice', i });
  };
  const next = by => {
    const list = sliceRows[current] || [];
    const inRow = chosen && chosen.kind === 'slice' && slices.row[chosen.i] === current;
    if (inRow) return chooseSlice(list[list.indexOf(chosen.i) + by]);
    const k = firstWhere(list, i => ends[i] > view.from);
    return chooseSlice(list[Math.min(k, list.length - 1)]);
  };

  // ---- Rows, keys and mouse.
  const setCurrent = row => {
    if (row === current && names[row].getAttribute('aria-current')) return;
    names[current].removeAttribute('aria-current');
    current = row;
    names[row].setAttribute('aria-current', 'true');
    ask();
  };
  const names = Array.from({ length: lines }, (_, row) => {
    const button = document.createElement('button'), name = document.createElement('bdi');
    button.type = 'button';
    name.textContent = nameOf(row);
    button.append(name);
    const about = row === idleRow ? 'Nobody could run' : `${rows[row].name}: ${plural(rows[row].slices, 'slice')}, ${number(rows[row].fuel)} fuel${rows[row].outcome ? `, ${rows[row].outcome}` : ''}`;
    button.title = about;
    button.setAttribute('aria-label', about);
    button.addEventListener('focus', () => setCurrent(row));
    button.addEventListener('click', () => { setCurrent(row); next(1); });
    return button;
  });
  const keys = {
    ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), '+': () => zoomHere(0.5), '=': () => zoomHere(0.5), '-': () => zoomHere(2), '_': () => zoomHere(2),
    Home: () => see(0, runEnd), n: () => next(1), p: () => next(-1), N: () => next(1), P: () => next(-1), Escape: () => choose(null),
  };
  // At the slice that is shown, if it can be seen, else in the middle.
  const zoomHere = factor => {
    const seen = chosen && chosen.kind === 'slice' && ends[chosen.i] > view.from && slices.at[chosen.i] < view.to;
    const middle = seen ? (slices.at[chosen.i] + ends[chosen.i]) / 2 : (view.from + view.to) / 2;
    zoom(factor, Math.min(1, Math.max(0, (middle - view.from) / (view.to - view.from))));
  };
  frame.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  $('earlier').addEventListener('click', () => pan(-0.2));
  $('later').addEventListener('click', () => pan(0.2));
  $('in').addEventListener('click', () => zoomHere(0.5));
  $('out').addEventListener('click', () => zoomHere(2));
  $('fit').addEventListener('click', () => see(0, runEnd));
  frame.addEventListener('scroll', ask);

  const place = event => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top + frame.scrollTop;
    return { part: Math.min(1, Math.max(0, x / width)), row: Math.floor(y / ROW) };
  };
  const there = event => {
    const { part, row } = place(event);
    return row >= 0 && row < lines ? at(row, view.from + part * (view.to - view.from)) : null;
  };
  plot.addEventListener('wheel', event => {
    if (!(event.ctrlKey || event.metaKey || frame.contains(document.activeElement)) || event.shiftKey) return;
    event.preventDefault();
    $('tip').hidden = true;
    const pixels = event.deltaMode === 1 ? 16 : 1;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX * pixels / width);
    else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * pixels * (event.ctrlKey ? 0.01 : 0.002)))), place(event).part);
  }, { passive: false });
  const pointers = new Map();
  let moved = 0;
  plot.addEventListener('pointerdown', event => {
    if (event.button !== 0) return;
    plot.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    moved = 0;
    const { row } = place(event);
    if (row >= 0 && row < lines) { event.preventDefault(); names[row].focus({ preventScroll: true }); setCurrent(row); }
  });
  plot.addEventListener('pointermove', event => {
    const before = pointers.get(event.pointerId);
    if (!before) return tip(event);
    $('tip').hidden = true;
    const span = view.to - view.from;
    if (pointers.size === 2) {
      const other = [...pointers.values()].find(pointer => pointer.pointerId !== event.pointerId);
      const was = Math.abs(before.clientX - other.clientX), is = Math.abs(event.clientX - other.clientX);
      if (was > 4 && is > 4) zoom(was / is, (place(event).part + place(other).part) / 2);
      moved = 9;
    } else {
      moved += Math.abs(event.clientX - before.clientX);
      if (moved > 4) see(view.from - (event.clientX - before.clientX) / width * span, span);
    }
    pointers.set(event.pointerId, event);
  });
  const letGo = event => {
    const was = pointers.delete(event.pointerId);
    if (was && event.type === 'pointerup' && moved <= 4) choose(there(event));
  };
  plot.addEventListener('pointerup', letGo);
  plot.addEventListener('pointercancel', letGo);
  plot.addEventListener('pointerleave', () => { $('tip').hidden = true; });
  const tip = event => {
    const what = there(event), box = $('tip');
    if (!what || event.pointerType === 'touch') { box.hidden = true; return; }
    fill(box, what);
    const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const below = event.clientY + 18, above = event.clientY - box.offsetHeight - 12;
    box.style.left = `${Math.max(4, left)}px`;
    box.style.top = `${below + box.offsetHeight > innerHeight ? Math.max(4, above) : below}px`;
  };

  // ---- Begin.
  restyle = () => { style(); legend(); ask(); };
  $('names').append(...names);
  plot.style.height = `${lines * ROW}px`;
  $('chart').hidden = false;
  $('picture').hidden = true;
  names[0].setAttribute('aria-current', 'true');
  showTheme();
  restyle();
  draw();
  new ResizeObserver(ask).observe(plot);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => restyle());
})();
