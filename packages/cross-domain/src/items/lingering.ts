/**
 * Pipes whose guest program has ended, with data still on its way to a host program that reads slowly: a clipboard's owner often
 * leaves as soon as it has written.
 */
export class Lingering implements Disposable {
  readonly #pipes = new Set<Disposable>();

  get size(): number {
    return this.#pipes.size;
  }

  add(pipe: Disposable): void {
    this.#pipes.add(pipe);
  }

  delete(pipe: Disposable): void {
    this.#pipes.delete(pipe);
  }

  [Symbol.dispose](): void {
    for (const pipe of this.#pipes) pipe[Symbol.dispose]();
    this.#pipes.clear();
  }
}
