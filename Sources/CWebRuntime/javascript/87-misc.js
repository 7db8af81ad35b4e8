(function (internal) {
  'use strict';
  // performance, navigator, self, reportError, lazy globals; and what a tenant must not find is taken away.
  const { ReflectDeleteProperty, globalThis } = internal.primordials;
  const { configure, illegalConstructor, requireArguments } = internal.webidl;
  const { time, timeOrigin } = internal.ops;

  const secret = {};

  // Time stands still in a turn.
  class Performance extends internal.EventTarget {
    #brand;
    constructor(key = undefined) {
      if (key !== secret) throw illegalConstructor();
      super();
    }
    get timeOrigin() {
      this.#brand;
      return timeOrigin();
    }
    now() {
      this.#brand;
      return time() - timeOrigin();
    }
    toJSON() {
      this.#brand;
      return { timeOrigin: timeOrigin() };
    }
  }
  configure(Performance, 'Performance');

  class Navigator {
    #brand;
    constructor(key = undefined) { if (key !== secret) throw illegalConstructor(); }
    get userAgent() {
      this.#brand;
      return 'Cloister';
    }
  }
  configure(Navigator, 'Navigator');

  const functions = {
    reportError(error) {
      requireArguments(arguments.length, 1, 'reportError');
      internal.reportException(error);
    },
  };

  internal.expose('Performance', Performance);
  internal.expose('performance', new Performance(secret));
  internal.expose('Navigator', Navigator);
  internal.expose('navigator', new Navigator(secret));
  internal.expose('reportError', functions.reportError);
  internal.expose('self', globalThis);
  internal.exposeLazily('crypto', ['crypto', 'Crypto', 'SubtleCrypto', 'CryptoKey']);

  // No shared memory. (While a base snapshot is built these do not exist yet, where V8 adds them afterwards: the engine's flags say so too.)
  ReflectDeleteProperty(globalThis, 'SharedArrayBuffer');
  ReflectDeleteProperty(globalThis, 'Atomics');
})
