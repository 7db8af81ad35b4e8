// A page of some size: a periodic table rendered from a JSON module through templates of its own.
import elements from './elements.json';
import layout from './layout.html';
import table from './table.html';
import element from './element.html';
import missing from './missing.html';
import style from './style.css';
import { Templates } from './template.js';

const templates = new Templates({ layout, table, element, missing });
const bySymbol = new Map(elements.map((entry) => [entry.symbol.toLowerCase(), entry]));
const categories = [...new Set(elements.map((entry) => entry.category))].map((name) => ({
  name,
  key: keyOf(name),
  count: elements.filter((entry) => entry.category === name).length,
}));

function keyOf(category) {
  return category.replace(/\W+/g, '-');
}

function html(body, title, status = 200) {
  const text = templates.render('layout', { title, style, body });
  return new Response(text, { status, headers: { 'content-type': 'text/html;charset=UTF-8' } });
}

function overview(query) {
  const wanted = query.trim().toLowerCase();
  const cells = elements.map((entry) => ({
    ...entry,
    key: keyOf(entry.category),
    path: entry.symbol.toLowerCase(),
    found: wanted === '' || `${entry.symbol} ${entry.name} ${entry.category} ${entry.note}`.toLowerCase().includes(wanted),
  }));
  const count = cells.filter((cell) => cell.found).length;
  return html(templates.render('table', { cells, categories, query, count, searching: wanted !== '' }), 'Periodic table');
}

function detail(entry) {
  const neighbour = (number) => {
    const other = elements[number - 1];
    return other && { name: other.name, path: other.symbol.toLowerCase() };
  };
  const relatives = elements
    .filter((other) => other !== entry && other.category === entry.category)
    .map((other) => ({ name: other.name, path: other.symbol.toLowerCase() }));
  const scope = {
    ...entry,
    key: keyOf(entry.category),
    place: entry.group ? `group ${entry.group}, period ${entry.period}` : `period ${entry.period}, between groups 2 and 4`,
    before: neighbour(entry.number - 1),
    after: neighbour(entry.number + 1),
    relatives,
  };
  return html(templates.render('element', scope), entry.name);
}

export default {
  fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === '/') return overview(url.searchParams.get('q') ?? '');
    if (url.pathname === '/elements.json') return Response.json(elements);
    const entry = bySymbol.get(url.pathname.slice(1).toLowerCase());
    if (entry) return detail(entry);
    return html(templates.render('missing', { path: url.pathname }), 'Not found', 404);
  },
};
