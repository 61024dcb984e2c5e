"use strict";
// Works out the numbers of a walk. A stop has a rule; it says from which numbers of which arrays each of its own is
// made (see xpcnn.explain.rules). Everything here is exact about places, and float64 about sums.
const walk = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MOST_TERMS = 30;

  const arrays = data.arrays.map(([written, size, decimals, whole, largest, summary]) => {
    let at;
    if ("c" in written) at = () => Number(written.c);
    else if ("s" in written) {
      const known = new Map(written.s[0].map((place, i) => [place, Number(written.s[1][i])]));
      at = (i) => known.get(i); // undefined where it was left out
    } else {
      const bytes = Uint8Array.from(atob(written.f), (letter) => letter.charCodeAt(0));
      const view = new DataView(bytes.buffer);
      at = (i) => view.getFloat32(4 * i, true);
    }
    return { at, size, decimals, whole, largest, summary, sparse: "s" in written };
  });

  // As Numbers of xpcnn.explain.formatting.
  function text(array, value) {
    if (value === undefined) return "…";
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    if (value === 0) return "0";
    let said;
    if (array.whole) said = value.toFixed(0);
    else if (Math.abs(value) <= 0.5 * 10 ** -array.decimals) said = String(Number(value.toPrecision(2)));
    else if (array.decimals <= 9) said = value.toFixed(Math.max(array.decimals, 0));
    else said = value.toExponential(data.precision - 1);
    return said.replaceAll("-", "−");
  }

  function index(tree, letters) {
    if (typeof tree === "number") return tree;
    if (typeof tree === "string") return letters[tree];
    const [operation, left, right] = [tree[0], index(tree[1], letters), index(tree[2], letters)];
    switch (operation) {
      case "+": return left + right;
      case "-": return left - right;
      case "*": return left * right;
      case "/": return left / right;
      case "//": return Math.floor(left / right);
      default: return left - right * Math.floor(left / right); // %
    }
  }

  // The place of these indices in an array of this shape; −1 if there is none.
  function place(shape, indices) {
    let flat = 0;
    for (let axis = 0; axis < shape.length; axis++) {
      const k = indices[axis];
      if (!(k >= 0 && k < shape[axis] && Number.isInteger(k))) return -1;
      flat = flat * shape[axis] + k;
    }
    return flat;
  }

  function indices(shape, flat) {
    const found = [];
    for (const size of [...shape].reverse()) {
      found.unshift(flat % size);
      flat = Math.floor(flat / size);
    }
    return found;
  }

  class Member { // an array, as one page names it
    constructor([name, number, shape, axes, meaning, inner], group) {
      Object.assign(this, { name, number, shape, axes, meaning, inner, group });
    }
    lettered(flat) { return Object.fromEntries(indices(this.shape, flat).map((k, axis) => [this.axes[axis], k])); }
    // The array and the place where the number stands; undefined for padding.
    source(flat) {
      if (!this.inner) return [this.number, flat];
      const own = this.group[this.inner[0]];
      const letters = this.lettered(flat);
      const at = place(own.shape, this.inner[1].map((tree) => index(tree, letters)));
      return at < 0 ? undefined : [own.number, at];
    }
    value(flat) {
      const found = this.source(flat);
      if (!found) return this.inner[2] === "0" ? 0 : -Infinity;
      return arrays[found[0]].at(found[1]);
    }
    array() { return arrays[this.inner ? this.group[this.inner[0]].number : this.number]; }
    text(flat) { return text(this.array(), this.value(flat)); }
    label(flat) { return this.shape.length ? `${this.name}[${indices(this.shape, flat).join(",")}]` : this.name; }
  }
  const groups = data.groups.map((members) => {
    const group = [];
    group.push(...members.map((member) => new Member(member, group)));
    return group;
  });
  const stops = data.stops.map((stop) => ({ ...stop, group: groups[stop.g], made: groups[stop.g][stop.m] }));
  const makers = new Map(stops.map((stop, number) => [stop.made.number, number]));

  // All terms of a product: the references of its factors, and their product.
  function terms({ f, l, c }, group, letters) {
    const found = [];
    const inside = { ...letters };
    const places = f.map(([member, trees, divides]) => ({ member: group[member], trees, divides }));
    const walkLoops = (depth) => {
      if (depth < l.length) {
        const [letter, size] = l[depth];
        for (let k = 0; k < size; k++) {
          inside[letter] = k;
          walkLoops(depth + 1);
        }
        return;
      }
      let value = 1;
      const refs = [];
      for (const { member, trees, divides } of places) {
        const at = place(member.shape, trees.map((tree) => index(tree, inside)));
        if (at < 0) return;
        refs.push({ member, at, divides });
      }
      if (c) {
        const member = group[c[0]];
        if (member.value(place(member.shape, c[1].map((tree) => index(tree, inside)))) !== index(c[2], inside)) return;
      }
      for (const { member, at, divides } of refs) value = divides ? value / member.value(at) : value * member.value(at);
      found.push({ refs, value });
    };
    walkLoops(0);
    return found;
  }

  const reference = ([member, trees], group, letters) =>
    ({ member: group[member], at: place(group[member].shape, trees.map((tree) => index(tree, letters))) });

  // Words and references, as `Worked` of xpcnn.explain.explanation; and, of a sum, its value.
  function worked(stop, flat) {
    const { rule, group, made } = stop;
    const letters = made.lettered(flat);
    if (!rule) return null;
    if (rule.k === "text") {
      let which = 0;
      if (rule.s) {
        const { member, at } = reference(rule.s, group, letters);
        which = member.value(at) > 0 ? 0 : 1;
      }
      const pieces = rule.t[which].map((piece) => (typeof piece === "string" ? piece : reference(piece, group, letters)));
      return { pieces };
    }
    const products = rule.p.map((product) => terms(product, group, letters));
    if (rule.k === "max") {
      const kept = largest(products[0].map(({ value }) => value)).map((k) => products[0][k].refs[0]);
      const rest = products[0].length - kept.length;
      const pieces = ["max(", ...joined(kept.map((ref) => [ref]), ", "), rest ? `, and ${rest} smaller ones)` : ")"];
      return { pieces, value: products[0].reduce((top, { value }) => Math.max(top, value), -Infinity) };
    }
    const every = products.flatMap((found) => found.map((term) => ({ ...term, alone: found.length === 1 })));
    let kept = every.map((_, k) => k);
    if (every.length > MOST_TERMS) {
      const size = every.map(({ alone, value }) => (alone ? Infinity : Math.abs(value)));
      kept = largest(size).filter((k) => every[k].alone || every[k].value !== 0);
    }
    const shown = kept.map((k) => every[k].refs.flatMap((ref, i) => (i ? [ref.divides ? "/" : "·", ref] : [ref])));
    let pieces = joined(shown, " + ");
    if (kept.length < every.length) {
      const chosen = new Set(kept);
      const rest = every.reduce((sum, { value }, k) => (chosen.has(k) ? sum : sum + value), 0);
      const said = rest ? `smaller terms: ${String(Number(rest.toPrecision(3))).replaceAll("-", "−")}` : "terms that are 0";
      pieces.push(`${pieces.length ? " + " : ""}(${every.length - kept.length} ${said})`);
    }
    let value = every.reduce((sum, term) => sum + term.value, 0);
    if (rule.o) {
      const over = typeof rule.o === "string" ? rule.o : reference(rule.o, group, letters);
      value /= typeof over === "string" ? Number(over) : over.member.value(over.at);
      pieces = kept.length > 1 ? ["(", ...pieces, ") / ", over] : [...pieces, " / ", over];
    }
    return { pieces: pieces.length ? pieces : ["0"], value };
  }

  // The places of the largest few numbers, in their order.
  function largest(values) {
    const order = values.map((value, k) => [value, k]).sort(([a, i], [b, j]) => b - a || i - j);
    return order.slice(0, MOST_TERMS).map(([, k]) => k).sort((i, j) => i - j);
  }

  const joined = (parts, between) => parts.flatMap((part, k) => (k ? [between, ...part] : part));

  // Where a number was made: the stop and the place there; undefined for what was given.
  function origin(member, flat) {
    const found = member.source(flat);
    const stop = found && makers.get(found[0]);
    return stop === undefined ? undefined : [stop, found[1]];
  }

  return { stops, arrays, worked, origin, indices, place };
})();
