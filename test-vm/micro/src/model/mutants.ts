/**
 * Bugs to plant in `@oriel/shm-region`, and a way to load the package with one of them. Nothing is written anywhere: the
 * module loader changes one place of the source on its way in.
 */
import { registerHooks } from 'node:module';
import type { Library } from '../sides/library.ts';

/** One planted bug: a piece of source that stands once in its file, and what stands there instead. */
export interface Mutant {
  readonly subject: 'overlap' | 'alignment' | 'ownership' | 'reset' | 'pause' | 'window';
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    subject: 'overlap',
    name: 'the ledger lets a map lie over one that waits',
    file: 'ledger.ts',
    find: 'if (this.#planned.overlaps(shmOffset, len)) {',
    replace: 'if (Number.isNaN(shmOffset)) {',
  },
  {
    subject: 'overlap',
    name: 'the ledger lets a map lie over a live one',
    file: 'ledger.ts',
    find: 'if (!this.#replaceable(held, request)) {',
    replace: 'if (Number.isNaN(shmOffset)) {',
  },
  {
    subject: 'overlap',
    name: 'neighbours count as an overlap',
    file: 'range-table.ts',
    find: 'item.shmOffset < offset + len',
    replace: 'item.shmOffset <= offset + len',
  },
  {
    subject: 'overlap',
    name: 'a range is replaced by any that begins where it does',
    file: 'ledger.ts',
    find: 'held.shmOffset === request.shmOffset && held.len === request.len',
    replace: 'held.shmOffset === request.shmOffset',
  },
  {
    subject: 'overlap',
    name: 'the window lets a MAP lie over a mapping',
    file: 'window.ts',
    find: 'if (!replaces && this.#entries.overlaps(shmOffset, len)) {',
    replace: 'if (Number.isNaN(shmOffset)) {',
  },
  {
    subject: 'alignment',
    name: 'an offset need not be a multiple of the page size',
    file: 'range.ts',
    find: 'offset % pageSize === 0 &&',
    replace: '',
  },
  {
    subject: 'alignment',
    name: 'a length need not be a multiple of the page size',
    file: 'range.ts',
    find: 'len % pageSize === 0 &&',
    replace: '',
  },
  {
    subject: 'alignment',
    name: 'the ledger aligns to 4 KiB, whatever the front-end',
    file: 'ledger.ts',
    find: 'const { pageSize } = this.limits;',
    replace: 'const pageSize = 4096;',
  },
  {
    subject: 'alignment',
    name: 'the ledger forgets the offset in the file',
    file: 'ledger.ts',
    find: 'if (!isPageRange(fdOffset, len, Number.MAX_SAFE_INTEGER, pageSize)) {',
    replace: 'if (Number.isNaN(fdOffset)) {',
  },
  {
    subject: 'ownership',
    name: "the death of an owner takes everybody's mappings",
    file: 'backend-region.ts',
    find: 'record.owner === owner',
    replace: 'record.owner !== null || owner !== null',
  },
  {
    subject: 'ownership',
    name: 'an owner dies and its mappings stay',
    file: 'backend-region.ts',
    find: 'record.owner === owner',
    replace: 'record.owner === null || owner === null',
  },
  {
    subject: 'ownership',
    name: 'a map that waits outlives its owner',
    file: 'backend-region.ts',
    find: 'queue.maps.filter(({ record }) => wanted(record))',
    replace: 'queue.maps.filter(({ record }) => wanted(record) && record.len < 0)',
  },
  {
    subject: 'reset',
    name: 'a reset keeps the ledger',
    file: 'backend-region.ts',
    find: 'this.#drop(this.#tasks.outbox.forget());',
    replace: 'this.#tasks.outbox.forget();',
  },
  {
    subject: 'reset',
    name: 'another connection keeps the ledger',
    file: 'backend-region.ts',
    find: 'this.#drop(sent);',
    replace: '',
  },
  {
    subject: 'reset',
    name: 'the window keeps its table at a reset',
    file: 'window.ts',
    find: "check(this.#memory.reserve(0, this.size), 'mmap');\n      this.#entries.clear();",
    replace: "check(this.#memory.reserve(0, this.size), 'mmap');",
  },
  {
    subject: 'reset',
    name: 'the window keeps its pages at a reset',
    file: 'window.ts',
    find: "check(this.#memory.reserve(0, this.size), 'mmap');",
    replace: '',
  },
  {
    subject: 'pause',
    name: 'what is due at a stop is forgotten',
    file: 'task-queue.ts',
    find: 'this.#tasks = [...this.unmaps];',
    replace: 'this.#tasks = [];',
  },
  {
    subject: 'pause',
    name: 'callers are not told that their maps were not sent',
    file: 'backend-region.ts',
    find: 'for (const task of maps) {\n      task.done(-ECANCELED);\n    }\n    for (const wait of waits) {\n      wait.end(-ECANCELED);\n    }\n  }\n\n  /** The rings run',
    replace: 'for (const wait of waits) {\n      wait.end(-ECANCELED);\n    }\n  }\n\n  /** The rings run',
  },
  {
    subject: 'window',
    name: 'an unmapped range keeps its pages',
    file: 'window.ts',
    find: 'going.length === 0 ? -ENOENT : this.#memory.reserve(shmOffset, len)',
    replace: 'going.length === 0 ? -ENOENT : 0',
  },
  {
    subject: 'window',
    name: 'an UNMAP may cut a mapping',
    file: 'range-table.ts',
    find: 'item.shmOffset === offset && item.len === len ? item : null',
    replace: 'item.shmOffset === offset ? item : null',
  },
  {
    subject: 'window',
    name: 'the file offset is ignored',
    file: 'window-memory.ts',
    find: 'MAP_SHARED | MAP_FIXED, fd, fdOffset)',
    replace: 'MAP_SHARED | MAP_FIXED, fd, fdOffset * 0)',
  },
];

const PACKAGE = import.meta.resolve('@oriel/shm-region');
const FOLDER = new URL('.', PACKAGE).href;
const MARK = '?mutant=';

/** Loads the package with a bug in it. @throws Error when the place is not there exactly once */
export async function loadMutant(mutant: Mutant): Promise<Library> {
  const mark = `${MARK}${MUTANTS.indexOf(mutant)}`;
  let planted = 0;
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const inside = context.parentURL?.startsWith(FOLDER) === true && context.parentURL.endsWith(mark);
      const resolved = next(specifier, context);
      return inside && specifier.startsWith('.') ? { ...resolved, url: `${resolved.url}${mark}` } : resolved;
    },
    load(url, context, next) {
      const loaded = next(url, context);
      if (url !== `${FOLDER}${mutant.file}${mark}`) {
        return loaded;
      }
      const source = Buffer.from(loaded.source as Uint8Array).toString();
      planted = source.split(mutant.find).length - 1;
      return { ...loaded, source: source.replace(mutant.find, () => mutant.replace) };
    },
  });
  try {
    const library = (await import(`${PACKAGE}${mark}`)) as Library;
    if (planted !== 1) {
      throw new Error(`${mutant.file} has the place for "${mutant.name}" ${planted} times`);
    }
    return library;
  } finally {
    hooks.deregister();
  }
}
