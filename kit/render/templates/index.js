"use strict";
// Only hides rows of a page that is whole without it, and puts them in another order.
(() => {
  const table = document.querySelector(".tk-records");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const filters = document.querySelector(".tk-filters");
  const [find, order, shown] = ["find", "order", "shown"].map(id => document.getElementById(id));
  const choices = ["protocol", "outcome", "target"].map(id => document.getElementById(id));
  const headers = [...table.tHead.rows[0].cells];
  const VERDICT = 1, BEGAN = 4;
  let texts;

  function filter() {
    texts ??= rows.map(row => row.textContent.replace(/\s+/g, " ").toLowerCase());
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = choices.filter(choice => choice.value);
    let number = 0;
    rows.forEach((row, index) => {
      const fits = chosen.every(choice => row.dataset[choice.id] === choice.value)
        && words.every(word => texts[index].includes(word));
      row.hidden = !fits;
      number += fits;
    });
    const [some, all] = [number, rows.length].map(each => each.toLocaleString("en"));
    shown.textContent = some === all ? `All ${all} are shown.` : `${some} of ${all} are shown.`;
  }

  const { compare } = new Intl.Collator("en", { numeric: true });
  function sort(column, direction) {
    const key = column === VERDICT
      ? row => row.dataset.outcome
      : row => row.cells[column].textContent.replace(/\s+/g, " ").trim().slice(0, 200);
    const keyed = rows.map(row => [key(row), row]);
    const sign = direction === "ascending" ? 1 : -1;
    keyed.sort(([one], [other]) => sign * compare(one, other));
    body.append(...keyed.map(([, row]) => row));
    headers.forEach((header, index) => {
      if (index === column) header.setAttribute("aria-sort", direction);
      else header.removeAttribute("aria-sort");
    });
    order.value = `${column} ${direction}`;
  }

  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () =>
      sort(column, header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"));
    for (const direction of ["ascending", "descending"])
      order.add(new Option(`${header.textContent}, ${direction}`, `${column} ${direction}`));
    header.replaceChildren(button);
  });
  order.value = `${BEGAN} descending`;
  order.addEventListener("change", () => {
    const [column, direction] = order.value.split(" ");
    sort(Number(column), direction);
  });

  let waiting;
  find.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 150);
  });
  choices.forEach(choice => choice.addEventListener("change", filter));
  document.getElementById("clear").addEventListener("click", () => {
    for (const one of [find, ...choices]) one.value = "";
    filter();
    find.focus();
  });
  filters.hidden = false;
  // a browser may keep what was typed over a reload
  if ([find, ...choices].some(one => one.value)) filter();
})();
