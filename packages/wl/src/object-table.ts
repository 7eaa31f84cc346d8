/** The objects of one connection by their ids. */
import { WlError } from './errors.ts';
import { FIRST_SERVER_ID } from './layout.ts';

/** Who makes an object, and so chooses its id. */
export type Side = 'client' | 'server';

/** What each id stands for. An object that its owner destroyed stays until its id is free again, since events to it may be under way. */
export class ObjectTable<T> {
  readonly #objects = new Map<number, T>();
  readonly #limit: number;

  /** @param limit - most objects at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(id: number): T | undefined {
    return this.#objects.get(id);
  }

  /** @throws WlError ERR_WL_OBJECT */
  expect(id: number): T {
    const object = this.#objects.get(id);
    if (object === undefined) throw new WlError('ERR_WL_OBJECT', `there is no object ${id}`);
    return object;
  }

  /**
   * Enters a new object. A server may use an id again whose object the client destroyed, and says nothing of it.
   * @throws WlError ERR_WL_ID, ERR_WL_LIMIT
   */
  add(id: number, side: Side, object: T): void {
    const fits = side === 'server' ? id >= FIRST_SERVER_ID : id > 0 && id < FIRST_SERVER_ID;
    if (!fits) throw new WlError('ERR_WL_ID', `${id} is no id for a ${side}`);
    if (side === 'client' && this.#objects.has(id)) throw new WlError('ERR_WL_ID', `object ${id} is there already`);
    if (this.#objects.size >= this.#limit) throw new WlError('ERR_WL_LIMIT', `more than ${this.#limit} objects`);
    this.#objects.set(id, object);
  }

  /** The id is free again. */
  remove(id: number): void {
    this.#objects.delete(id);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }
}
