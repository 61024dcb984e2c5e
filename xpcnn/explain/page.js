"use strict";
// Shows the formula of the number under the pointer, and marks the cells that it is made of. There are no formulas
// here: data.formulas has, for each section, text with references, "@3.17" for element 17 of array 3.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const sections = [...document.querySelectorAll("section")];

  function name(ref) {
    const [array, element] = ref.split(".").map(Number);
    const [label, shape] = data.arrays[array];
    const index = [];
    let rest = element;
    for (const size of [...shape].reverse()) {
      index.unshift(rest % size);
      rest = Math.floor(rest / size);
    }
    return index.length ? `${label}[${index.join(",")}]` : label;
  }

  const number = (ref) => data.values[ref];
  const references = (formula) => formula.match(/@\d+\.\d+/g)?.map((each) => each.slice(1)) ?? [];

  // The formula's words and references, a negative number in brackets where an operator stands before it.
  function nodes(formula, write) {
    let before = "";
    return formula.split(/@(\d+\.\d+)/).map((part, i) => {
      if (i % 2 === 0) {
        before = part.trimEnd().slice(-1);
        return part;
      }
      const span = document.createElement("span");
      const text = write(part);
      span.dataset.r = part;
      span.textContent = text[0] === "−" && ["·", "+", "−", "/"].includes(before) ? `(${text})` : text;
      return span;
    });
  }

  function show(section, ref) {
    const formulas = data.formulas[sections.indexOf(section)];
    const box = section.querySelector(".formula");
    const [formula, ...remarks] = formulas[ref];
    const target = section.querySelector(".symbols > b");
    target.replaceChildren(...nodes("@" + ref, name));
    section.querySelector(".symbols > span").replaceChildren(...nodes(formula, name));
    section.querySelector(".numbers > span").replaceChildren(...nodes(formula, number));
    section.querySelector(".value > b").textContent = number(ref);
    const numbers = section.querySelector(".numbers");
    numbers.hidden = numbers.querySelector("span").textContent === number(ref);
    box.querySelector("ul").replaceChildren(...remarks.map(([label, more, value]) => {
      const item = document.createElement("li");
      item.append(label);
      if (more) item.append(": ", ...nodes(more, name), " = ", ...nodes(more, number), ` = ${value}`);
      return item;
    }));
    box.scrollTop = 0;
    mark(section, { target: [ref], term: references(formula) });
  }

  function mark(section, kinds) {
    for (const cell of section.querySelectorAll("td")) {
      for (const kind of ["target", "term", "use"]) {
        cell.classList.toggle(kind, kinds[kind]?.includes(cell.dataset.r) ?? false);
      }
    }
  }

  // A number of the result shows its formula; one of the others, the results that it goes into.
  function look(cell) {
    const section = cell.closest("section");
    const formulas = data.formulas[sections.indexOf(section)];
    const ref = cell.dataset.r;
    if (formulas[ref]) {
      show(section, ref);
    } else {
      const use = Object.keys(formulas).filter((each) => references(formulas[each][0]).includes(ref));
      mark(section, { target: [ref], use });
    }
  }

  for (const section of sections) {
    const box = section.querySelector(".formula");
    if (!box) continue;
    const rest = () => show(section, section.dataset.focus);
    // So that nothing moves under the pointer. Not before it comes: a notebook's frame may have no size yet.
    const keep = () => (box.style.height ||= `${box.getBoundingClientRect().height}px`);
    for (const event of ["pointerover", "focusin"]) section.addEventListener(event, keep, { capture: true });
    let pinned = null; // by a click, until another
    section.addEventListener("pointerover", (event) => {
      const cell = event.target.closest("td");
      if (cell && !pinned) look(cell);
    });
    section.querySelector(".arrays").addEventListener("pointerleave", () => pinned || rest());
    section.addEventListener("click", (event) => {
      const cell = event.target.closest("td");
      if (!cell) return;
      pinned = pinned === cell ? null : cell;
      look(cell);
    });
    // From cell to cell with the arrow keys.
    for (const table of section.querySelectorAll("table")) {
      table.querySelector("td").tabIndex = 0;
      table.addEventListener("keydown", (event) => {
        const cell = event.target.closest("td");
        const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
        const next = cell && table.rows[cell.parentNode.rowIndex + down]?.cells[cell.cellIndex + right];
        if (next?.tagName !== "TD") return;
        event.preventDefault();
        cell.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
    }
    section.addEventListener("focusin", (event) => event.target.tagName === "TD" && look(event.target));
  }
  document.documentElement.classList.add("ready");
})();
