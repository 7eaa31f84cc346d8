/** A wl_surface: which rows of a buffer have changed since that buffer was copied last. */
import type { PoolBuffer } from './shm.ts';

/** Commits that are remembered: clients take turns with two to four buffers. */
const REMEMBERED = 8;

interface Rows {
  readonly first: number;
  readonly end: number;
}

const ALL: Rows = { first: 0, end: Number.POSITIVE_INFINITY };
const NONE: Rows = { first: Number.POSITIVE_INFINITY, end: 0 };

function union(a: Rows, b: Rows): Rows {
  return { first: Math.min(a.first, b.first), end: Math.max(a.end, b.end) };
}

/**
 * A client redraws a buffer so that it shows all of the surface, but names as damage only what differs from the surface's last
 * content, which was another buffer's. So a buffer misses the damage of every commit since its own last one.
 */
export class Surface {
  #commits = 0;
  /** Damage of the last commits, the newest last. */
  readonly #damage: Rows[] = [];
  #pending: Rows = NONE;
  /** undefined: attached none since the last commit; null: took the buffer away. */
  #attached: PoolBuffer | null | undefined;
  #current: PoolBuffer | null = null;
  #scale = 1;
  #turned = false;
  #scaledFreely = false;

  /** @param buffer - null for none, or one that has no pool */
  attach(buffer: PoolBuffer | null): void {
    this.#attached = buffer;
  }

  /** wl_surface.damage: in coordinates of the surface, which are rows of the buffer only where nothing scales freely or turns. */
  damageSurface(y: number, height: number): void {
    if (this.#turned || this.#scaledFreely) this.#pending = ALL;
    else this.damageBuffer(y * this.#scale, height * this.#scale);
  }

  /** wl_surface.damage_buffer. */
  damageBuffer(y: number, height: number): void {
    if (height > 0) this.#pending = union(this.#pending, { first: Math.max(0, y), end: y + height });
  }

  setScale(scale: number): void {
    if (scale !== this.#scale) this.#pending = ALL;
    this.#scale = scale;
  }

  setTransform(transform: number): void {
    this.#turned = transform !== 0;
    this.#pending = ALL;
  }

  /** It has a viewport from now on. */
  setViewport(): void {
    this.#scaledFreely = true;
    this.#pending = ALL;
  }

  /** Copies what the compositor is about to look at. @throws ProxyError ERR_PROXY_CLIENT */
  commit(): void {
    const isNew = this.#attached !== undefined;
    if (this.#attached !== undefined) this.#current = this.#attached;
    this.#attached = undefined;
    if (this.#pending === NONE && !isNew) return;
    this.#commits++;
    this.#damage.push(this.#pending);
    if (this.#damage.length > REMEMBERED) this.#damage.shift();
    this.#pending = NONE;
    const buffer = this.#current;
    if (buffer === null || !buffer.isLive) return;
    const { first, end } = this.#missing(buffer);
    buffer.copyRows(first, end);
    buffer.copiedFor = this;
    buffer.copiedAt = this.#commits;
  }

  #missing(buffer: PoolBuffer): Rows {
    const commits = this.#commits - buffer.copiedAt;
    return buffer.copiedFor !== this || commits > this.#damage.length
      ? ALL
      : this.#damage.slice(-commits).reduce(union, NONE);
  }
}
