(function (internal) {
  'use strict';
  // The body of a request that comes in pieces. The supervisor may send a window's worth; each piece that the tenant takes makes room for
  // more, so what waits here is never more than the window.
  const {
    ObjectSetPrototypeOf, Promise, PromiseReject, TypeError, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeSet, Uint8Array,
  } = internal.primordials;
  const { requestCredit } = internal.ops;

  // Nobody asked yet; a promise of the whole; a stream; nobody ever will.
  const WAITING = 0, COLLECTED = 1, STREAMED = 2, DROPPED = 3;

  class IncomingBody {
    constructor(rid, first) {
      this.rid = rid;
      this.mode = WAITING;
      this.isEnded = false;
      this.hasFailed = false;
      // What who asks for the body is told; an error is never undefined.
      this.error = undefined;
      // Pieces that nobody took: a list linked by `next`.
      this.first = undefined;
      this.last = undefined;
      this.byteCount = 0;
      this.resolve = undefined;
      this.reject = undefined;
      this.controller = undefined;
      this.isWanted = false;
      if (first !== undefined) this.add(first);
    }

    add(bytes) {
      const piece = { bytes, next: undefined };
      if (this.first === undefined) this.first = piece;
      else this.last.next = piece;
      this.last = piece;
      this.byteCount += TypedArrayPrototypeGetByteLength(bytes);
    }

    takeFirst() {
      const { bytes } = this.first;
      this.first = this.first.next;
      this.byteCount -= TypedArrayPrototypeGetByteLength(bytes);
      return bytes;
    }

    credit(byteCount) { if (!this.isEnded && !this.hasFailed && byteCount > 0) requestCredit(this.rid, byteCount); }

    // A piece came (or undefined).
    deliver(bytes, isEnd) {
      if (this.isEnded || this.hasFailed) return;
      if (isEnd) this.isEnded = true;
      if (bytes !== undefined) {
        const byteCount = TypedArrayPrototypeGetByteLength(bytes);
        if (this.mode !== DROPPED) this.add(bytes);
        if (this.mode === COLLECTED || this.mode === DROPPED) this.credit(byteCount);
      }
      if (this.mode === STREAMED) this.feed();
      else if (this.mode === COLLECTED && isEnd) this.settle(this.resolve, this.reject);
    }

    // Where there is no memory for the whole, the pieces go, too.
    settle(resolve, reject) {
      try {
        resolve(this.joined());
      } catch (error) {
        this.first = this.last = undefined;
        this.byteCount = 0;
        reject(error);
      }
    }

    joined() {
      const whole = new Uint8Array(this.byteCount);
      let offset = 0;
      while (this.first !== undefined) {
        const bytes = this.takeFirst();
        TypedArrayPrototypeSet(whole, bytes, offset);
        offset += TypedArrayPrototypeGetByteLength(bytes);
      }
      // In an object without prototype: nobody's `then` is looked for.
      return { __proto__: null, bytes: whole };
    }

    // A promise of { bytes }: all of it.
    collect() {
      if (this.error !== undefined) return PromiseReject(this.error);
      this.mode = COLLECTED;
      return new Promise((resolve, reject) => {
        if (this.isEnded) return this.settle(resolve, reject);
        this.resolve = resolve;
        this.reject = reject;
        return this.credit(this.byteCount);
      });
    }

    stream() {
      const streams = internal.source('byte-streams');
      if (this.error !== undefined) return streams.erroredStream(this.error);
      this.mode = STREAMED;
      const { stream, controller } = streams.createByteStream(() => {
        this.isWanted = true;
        this.feed();
      }, () => { this.drop(); });
      this.controller = controller;
      this.feed();
      return stream;
    }

    // Gives the stream what it asks for, and its end as soon as nothing is left.
    feed() {
      while (this.isWanted && this.first !== undefined) {
        this.isWanted = false;
        const bytes = this.takeFirst();
        this.credit(TypedArrayPrototypeGetByteLength(bytes));
        if (TypedArrayPrototypeGetByteLength(bytes) > 0) this.controller.enqueue(bytes);
        else this.isWanted = true;
      }
      if (this.isEnded && this.first === undefined && !this.hasFailed) this.controller.end();
    }

    // What comes is thrown away from now on.
    drop() {
      this.mode = DROPPED;
      this.first = this.last = undefined;
      this.credit(this.byteCount);
      this.byteCount = 0;
    }

    // Nobody has asked for it, and the answer cannot go on until the client has sent it: it must not wait for that.
    dropUnlessTouched() {
      if (this.mode !== WAITING || this.isEnded || this.hasFailed) return;
      const error = new TypeError(
        "the request's body was dropped: nothing had begun to read it when the response's body had to wait for the client");
      this.drop();
      this.error = error;
    }

    // No more will come.
    fail(error) {
      if (this.isEnded || this.hasFailed) return;
      this.hasFailed = true;
      this.error = error;
      if (this.mode === COLLECTED) this.reject(error);
      else if (this.mode === STREAMED) this.controller.error(error);
    }
  }
  ObjectSetPrototypeOf(IncomingBody.prototype, null);

  internal.IncomingBody = IncomingBody;
})
