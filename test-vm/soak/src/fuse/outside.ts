/** A directory with the share in it and a sentinel tree beside it, which nobody may touch. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const ALL = 0o700;
const SLASH = Buffer.from('/');

/** Share and sentinel; disposing removes both. */
export class ShareBesideSentinel implements Disposable {
  readonly shareDir: string;
  readonly #base: string;
  readonly #before: string;

  /** @param place - directory in which to make it */
  constructor(place: string) {
    this.#base = mkdtempSync(join(place, 'oriel-soak-'));
    this.shareDir = join(this.#base, 'share');
    const sentinel = join(this.#base, 'sentinel');
    mkdirSync(join(sentinel, 'inner'), { recursive: true });
    writeFileSync(join(sentinel, 'secret'), 'nobody reads this');
    writeFileSync(join(sentinel, 'inner', 'deep'), 'nor this');
    symlinkSync('secret', join(sentinel, 'link'));
    this.#fillShare();
    this.#before = this.#picture();
  }

  /** What changed outside of the share, as text; '' when nothing did. */
  get damage(): string {
    const now = this.#picture();
    return now === this.#before ? '' : `before:\n${this.#before}\nnow:\n${now}`;
  }

  [Symbol.dispose](): void {
    // The guest may have taken all rights from directories.
    allow(Buffer.from(this.shareDir));
    rmSync(this.#base, { recursive: true, force: true });
  }

  #fillShare(): void {
    mkdirSync(join(this.shareDir, 'dir', 'inner'), { recursive: true });
    writeFileSync(join(this.shareDir, 'a'), 'first');
    writeFileSync(join(this.shareDir, 'dir', 'b'), new Uint8Array(10_000));
    symlinkSync('../sentinel', join(this.shareDir, 'up'));
    symlinkSync(join(this.#base, 'sentinel', 'secret'), join(this.shareDir, 'absolute'));
    symlinkSync('loop', join(this.shareDir, 'loop'));
    symlinkSync('..', join(this.shareDir, 'dir', 'link'));
  }

  #picture(): string {
    const lines: string[] = [readdirSync(this.#base).sort().join(' ')];
    const walk = (path: string): void => {
      const facts = lstatSync(path, { bigint: true });
      const { mode, uid, gid, size, nlink, mtimeNs, ctimeNs } = facts;
      const content = facts.isFile() ? readFileSync(path, 'latin1') : facts.isSymbolicLink() ? readlinkSync(path) : '';
      lines.push([path, mode, uid, gid, size, nlink, mtimeNs, ctimeNs, content].join(' '));
      if (facts.isDirectory()) for (const name of readdirSync(path).sort()) walk(join(path, name));
    };
    walk(join(this.#base, 'sentinel'));
    return lines.join('\n');
  }
}

/** @param dir - bytes, since a name may be anything */
function allow(dir: Buffer): void {
  chmodSync(dir, ALL);
  for (const entry of readdirSync(dir, { withFileTypes: true, encoding: 'buffer' })) {
    if (entry.isDirectory()) allow(Buffer.concat([dir, SLASH, entry.name]));
  }
}
