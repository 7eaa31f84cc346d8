/** The operations of a session: made when first needed, then reused, the latest freed first. */
import type { SysMem } from '@oriel/sys';
import { type Completer, EXECUTING, FREE, OperationRecord } from './operation-record.ts';

/** At most `limit` operations. */
export class OperationPool implements Disposable {
  readonly #mem: SysMem;
  readonly #completer: Completer;
  readonly #limit: number;
  readonly #all: OperationRecord[] = [];
  readonly #free: OperationRecord[] = [];

  constructor(mem: SysMem, completer: Completer, limit: number) {
    this.#mem = mem;
    this.#completer = completer;
    this.#limit = limit;
  }

  /** Every operation made so far, free ones too. */
  get all(): readonly OperationRecord[] {
    return this.#all;
  }

  get available(): boolean {
    return this.#free.length > 0 || this.#all.length < this.#limit;
  }

  /** A free operation in state EXECUTING, or null. @throws SysError ENOMEM */
  take(): OperationRecord | null {
    let op = this.#free.pop();
    if (op === undefined) {
      if (this.#all.length >= this.#limit) {
        return null;
      }
      op = new OperationRecord(this.#mem, this.#completer);
      this.#all.push(op);
    }
    op.state = EXECUTING;
    return op;
  }

  give(op: OperationRecord): void {
    op.state = FREE;
    op.abandoned = false;
    op.message = null;
    op.io.message = null;
    op.context = undefined;
    op.intent = null;
    this.#free.push(op);
  }

  [Symbol.dispose](): void {
    for (const op of this.#all) {
      op[Symbol.dispose]();
    }
    this.#all.length = 0;
    this.#free.length = 0;
  }
}
