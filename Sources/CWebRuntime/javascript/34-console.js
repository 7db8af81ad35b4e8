(function (internal) {
  'use strict';
  // console, into the tenant's log: https://console.spec.whatwg.org
  const {
    ArrayIsArray, ArrayPrototypePush, ErrorCaptureStackTrace, MathTrunc, NumberParseFloat, NumberParseInt, ObjectCreate, ObjectDefineProperty,
    ObjectGetOwnPropertyDescriptor, ObjectPrototypeHasOwnProperty, ReflectOwnKeys, SafeMap, String, StringPrototypeIndexOf, StringPrototypePadEnd,
    StringPrototypeRepeat, StringPrototypeReplaceAll, StringPrototypeSlice, SymbolToStringTag,
  } = internal.primordials;
  const { inspect, typeOf } = internal;
  const { log, time } = internal.ops;
  const DEBUG = 0, LOG = 1, INFO = 2, WARN = 3, ERROR = 4;

  // Limits: nested groups, labels of count and time, rows of a table, characters of a line.
  const groupsLimit = 16, labelsLimit = 1000, rowsLimit = 100, lineLimit = 8192;

  let groups = 0;
  const counts = new SafeMap();
  const times = new SafeMap();

  const show = (value) => (typeof value === 'string' ? value : inspect(value));

  const number = (value, parse) => {
    if (typeof value === 'symbol' || (typeof value === 'object' && value !== null) || typeof value === 'function') return 'NaN';
    return `${typeof value === 'bigint' ? value + 'n' : parse(value)}`;
  };

  // Specifiers of the first argument, then the rest separated by spaces.
  const format = (values) => {
    let text = '';
    let next = 0;
    const first = values[0];
    if (typeof first === 'string' && values.length > 1 && StringPrototypeIndexOf(first, '%') >= 0) {
      next = 1;
      let from = 0;
      for (let at = StringPrototypeIndexOf(first, '%'); at >= 0 && at + 1 < first.length; at = StringPrototypeIndexOf(first, '%', from)) {
        const specifier = first[at + 1];
        let piece = null;
        if (specifier === '%') piece = '%';
        else if (next < values.length) {
          const value = values[next];
          if (specifier === 's') piece = typeof value === 'string' ? value : inspect(value, 0);
          else if (specifier === 'd') piece = number(value, (given) => +given);
          else if (specifier === 'i') piece = number(value, (given) => NumberParseInt(given, 10));
          else if (specifier === 'f') piece = number(value, NumberParseFloat);
          else if (specifier === 'o' || specifier === 'O') piece = inspect(value);
          else if (specifier === 'j') piece = inspect(value);
          else if (specifier === 'c') piece = '';
          if (piece !== null) next++;
        }
        text += StringPrototypeSlice(first, from, at) + (piece ?? '%' + specifier);
        from = at + 2;
        if (text.length > lineLimit) break;
      }
      text += StringPrototypeSlice(first, from);
    }
    for (; next < values.length && text.length <= lineLimit; next++) text += (next > 0 ? ' ' : '') + show(values[next]);
    return text;
  };

  const write = (level, text) => {
    let line = text;
    if (groups > 0) {
      const indent = StringPrototypeRepeat('  ', groups);
      line = indent + StringPrototypeReplaceAll(line, '\n', '\n' + indent);
    }
    log(level, line.length > lineLimit ? StringPrototypeSlice(line, 0, lineLimit) + '... (cut)' : line);
  };

  const labelText = (label) => (label === undefined ? 'default' : typeof label === 'symbol' ? 'symbol' : StringPrototypeSlice(String(label), 0, 256));

  const stackText = (below) => {
    const place = { __proto__: null };
    ErrorCaptureStackTrace(place, below);
    const stack = place.stack;
    const lines = typeof stack === 'string' ? StringPrototypeIndexOf(stack, '\n') : -1;
    return lines < 0 ? '' : StringPrototypeSlice(stack, lines);
  };

  const elapsed = (label) => {
    const since = times.get(label);
    return since === undefined ? null : `${label}: ${MathTrunc((time() - since) * 1000) / 1000} ms`;
  };

  // Rows of an object or array, without running getters.
  const rowsOf = (data) => {
    const rows = [];
    const keys = ReflectOwnKeys(data);
    for (let index = 0; index < keys.length && rows.length < rowsLimit; index++) {
      const descriptor = ObjectGetOwnPropertyDescriptor(data, keys[index]);
      if (descriptor === undefined || !descriptor.enumerable) continue;
      const value = ObjectPrototypeHasOwnProperty(descriptor, 'value') ? descriptor.value : '[Getter]';
      ArrayPrototypePush(rows, [typeof keys[index] === 'symbol' ? inspect(keys[index]) : keys[index], value]);
    }
    return rows;
  };

  const tableText = (data, columns) => {
    const rows = rowsOf(data);
    const names = [];
    const places = ObjectCreate(null);
    const cells = [];
    let hasValues = false;
    for (let index = 0; index < rows.length; index++) {
      const cell = ObjectCreate(null);
      const value = rows[index][1];
      if (typeof value === 'object' && value !== null && typeOf(value) !== 'Proxy') {
        const fields = rowsOf(value);
        for (let field = 0; field < fields.length; field++) {
          const name = fields[field][0];
          if (columns !== undefined && columns[name] !== true) continue;
          if (places[name] === undefined) {
            places[name] = true;
            ArrayPrototypePush(names, name);
          }
          cell[name] = inspect(fields[field][1], 0);
        }
      } else {
        hasValues = true;
        cell['\0value'] = inspect(value, 0);
      }
      ArrayPrototypePush(cells, cell);
    }
    const headings = ['(index)'];
    const keys = [''];
    for (let index = 0; index < names.length; index++) {
      ArrayPrototypePush(headings, names[index]);
      ArrayPrototypePush(keys, names[index]);
    }
    if (hasValues) {
      ArrayPrototypePush(headings, 'Values');
      ArrayPrototypePush(keys, '\0value');
    }
    const at = (row, column) => (column === 0 ? rows[row][0] : cells[row][keys[column]] ?? '');
    let line = '';
    const lines = [];
    const widths = [];
    for (let column = 0; column < keys.length; column++) {
      let width = headings[column].length;
      for (let row = 0; row < rows.length; row++) if (at(row, column).length > width) width = at(row, column).length;
      ArrayPrototypePush(widths, width > 64 ? 64 : width);
    }
    for (let row = -1; row < rows.length; row++) {
      line = '|';
      for (let column = 0; column < keys.length; column++) {
        const text = StringPrototypeSlice(row < 0 ? headings[column] : at(row, column), 0, 64);
        line += ' ' + StringPrototypePadEnd(text, widths[column]) + ' |';
      }
      ArrayPrototypePush(lines, line);
      if (row < 0) {
        line = '|';
        for (let column = 0; column < keys.length; column++) line += StringPrototypeRepeat('-', widths[column] + 2) + '|';
        ArrayPrototypePush(lines, line);
      }
    }
    return internal.primordials.ArrayPrototypeJoin(lines, '\n');
  };

  // https://console.spec.whatwg.org/#console-namespace: its prototype is an empty object of its own.
  const console = {
    __proto__: {},
    debug(...values) { write(DEBUG, format(values)); },
    error(...values) { write(ERROR, format(values)); },
    info(...values) { write(INFO, format(values)); },
    log(...values) { write(LOG, format(values)); },
    warn(...values) { write(WARN, format(values)); },
    assert(condition = false, ...values) {
      if (condition) return;
      if (typeof values[0] === 'string') values[0] = 'Assertion failed: ' + values[0];
      else if (values.length > 0) values = withFirst('Assertion failed:', values);
      else values = ['Assertion failed'];
      write(ERROR, format(values));
    },
    clear() { groups = 0; },
    count(label = undefined) {
      const name = labelText(label);
      const count = (counts.get(name) ?? 0) + 1;
      if (count > 1 || counts.size < labelsLimit) counts.set(name, count);
      write(INFO, `${name}: ${count}`);
    },
    countReset(label = undefined) {
      const name = labelText(label);
      if (!counts.delete(name)) write(WARN, `Count for '${name}' does not exist`);
    },
    dir(value = undefined) { write(LOG, inspect(value)); },
    dirxml(...values) { write(LOG, format(values)); },
    group(...values) {
      if (values.length > 0) write(LOG, format(values));
      if (groups < groupsLimit) groups++;
    },
    groupCollapsed(...values) {
      if (values.length > 0) write(LOG, format(values));
      if (groups < groupsLimit) groups++;
    },
    groupEnd() { if (groups > 0) groups--; },
    table(data = undefined, properties = undefined) {
      if (typeof data !== 'object' || data === null || typeOf(data) === 'Proxy') {
        write(LOG, show(data));
        return;
      }
      let columns;
      if (ArrayIsArray(properties)) {
        columns = ObjectCreate(null);
        const wanted = rowsOf(properties);
        for (let index = 0; index < wanted.length; index++) if (typeof wanted[index][1] === 'string') columns[wanted[index][1]] = true;
      }
      write(LOG, tableText(data, columns));
    },
    time(label = undefined) {
      const name = labelText(label);
      if (times.get(name) !== undefined) write(WARN, `Timer '${name}' already exists`);
      else if (times.size < labelsLimit) times.set(name, time());
    },
    timeEnd(label = undefined) {
      const name = labelText(label);
      const text = elapsed(name);
      if (text === null) write(WARN, `Timer '${name}' does not exist`);
      else write(INFO, text);
      times.delete(name);
    },
    timeLog(label = undefined, ...values) {
      const text = elapsed(labelText(label));
      if (text === null) write(WARN, `Timer '${labelText(label)}' does not exist`);
      else write(INFO, values.length === 0 ? text : text + ' ' + format(values));
    },
    trace(...values) {
      const text = format(values);
      write(LOG, 'Trace' + (text === '' ? '' : ': ' + text) + stackText(trace));
    },
  };

  const withFirst = (first, values) => {
    const all = [first];
    for (let index = 0; index < values.length; index++) ArrayPrototypePush(all, values[index]);
    return all;
  };

  ObjectDefineProperty(console, SymbolToStringTag, { __proto__: null, value: 'console', writable: false, enumerable: false, configurable: true });
  const { trace } = console;
  internal.expose('console', console);
})
