/**
 * One program of the guest: it has a directory to itself, does one thing after the other in it, and knows what must come of
 * each, however often the back-end dies meanwhile.
 */
import type { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { EEXIST, ENODATA, ENOENT, ENOTEMPTY, O_APPEND, O_EXCL, O_RDWR, O_TRUNC, XATTR_CREATE } from '@oriel/sys';
import { must, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';
import type { KilledGuest } from './guest.ts';

/** Most names in the directory. */
const NAMES = 12;
const MAX_BYTES = 20_000;
const MOST_WRITTEN = 3000;
const ATTRIBUTE = 'user.mark';

const ACTIONS = {
  mkdir: 6,
  rmdir: 4,
  create: 14,
  'create again': 3,
  symlink: 4,
  link: 5,
  unlink: 8,
  rename: 8,
  exchange: 3,
  write: 14,
  append: 14,
  read: 14,
  truncate: 5,
  attribute: 4,
  'remove attribute': 3,
  look: 6,
  list: 3,
  reopen: 4,
  tmpfile: 2,
} as const;

/** Every action, for the soak to have seen. */
export const killedFsActions = Object.keys(ACTIONS);

/** A file or directory as the guest knows it. Files may have several names, and none. */
interface Node {
  readonly kind: 'file' | 'directory' | 'link';
  nodeid: number;
  /** Lookups that the guest has. */
  lookups: number;
  fh: number;
  content: Buffer<ArrayBuffer>;
  mark: string | null;
  names: number;
}

/** What is done by the name of an action. */
type ActionsOn<Of extends readonly unknown[]> = Partial<Record<keyof typeof ACTIONS, (...of: Of) => void>>;

/** What a worker does with the answer to its request. */
type Then = (reply: ReplyDecoder) => void;

/** One program. */
export class Worker {
  /** No request of it is under way. */
  idle = true;
  readonly #guest: KilledGuest;
  readonly #random: Xorshift;
  readonly #tally: Tally;
  readonly #dir: number;
  readonly #names = new Map<string, Node>();
  readonly #request: RequestEncoder;

  /** @param dir - nodeid of its directory, which is empty */
  constructor(guest: KilledGuest, dir: number, random: Xorshift, tally: Tally) {
    this.#guest = guest;
    this.#dir = dir;
    this.#random = random;
    this.#tally = tally;
    this.#request = guest.request;
  }

  /** What stands in the directory: name, kind and content. */
  get picture(): string[] {
    return [...this.#names]
      .map(([name, { kind, content, mark }]) => `${name} ${kind} ${content.toString('base64')} ${mark ?? ''}`)
      .sort();
  }

  /** Begins something. */
  act(): void {
    const action = this.#random.weighted(ACTIONS);
    this.#tally.did(action);
    this.#do(action);
  }

  /** Gives back all lookups and handles. One at a time: call until it says false. */
  giveBack(): boolean {
    for (const node of new Set(this.#names.values())) {
      if (node.fh !== 0) {
        const { fh } = node;
        this.#send(this.#request.release(node.nodeid, fh), (reply) => same('RELEASE', reply.error, 0));
        node.fh = 0;
        return true;
      }
      if (node.lookups > 0) {
        this.#guest.forget(node.nodeid, node.lookups);
        node.lookups = 0;
      }
    }
    return false;
  }

  #do(action: keyof typeof ACTIONS): void {
    const name = `n${this.#random.below(NAMES)}`;
    const node = this.#names.get(name);
    const onName = this.#onNames[action];
    const file = this.#anyFile();
    if (onName !== undefined) onName(name, node, `n${this.#random.below(NAMES)}`);
    else if (file === undefined) this.#look(name, node);
    else this.#onFiles[action]!(file);
  }

  readonly #onNames: ActionsOn<[name: string, node: Node | undefined, other: string]> = {
    mkdir: (name) => this.#make(this.#request.mkdir(this.#dir, name, 0o755), name, 'directory'),
    symlink: (name, _node, other) =>
      this.#make(this.#request.symlink(this.#dir, name, `to-${other}`), name, 'link', Buffer.from(`to-${other}`)),
    create: (name) => this.#make(this.#request.create(this.#dir, name, O_RDWR | O_EXCL, 0o644), name, 'file'),
    'create again': (name, node) => this.#createAgain(name, node),
    tmpfile: () => this.#tmpfile(),
    link: (name, _node, other) => this.#link(name, other),
    unlink: (name, node) => this.#unlink(name, node),
    rmdir: (name, node) => this.#rmdir(name, node),
    rename: (name, node, other) => this.#rename(name, node, other),
    exchange: (name, node, other) => this.#exchange(name, node, other),
    look: (name, node) => this.#look(name, node),
    list: () => this.#list(),
  };

  readonly #onFiles: ActionsOn<[file: Node]> = {
    write: (file) => this.#write(file, false),
    append: (file) => this.#write(file, true),
    read: (file) => this.#read(file),
    truncate: (file) => this.#truncate(file),
    attribute: (file) => this.#setMark(file),
    'remove attribute': (file) => this.#removeMark(file),
    reopen: (file) => this.#reopen(file),
  };

  #send(request: RequestEncoder, then: Then, data?: Uint8Array): void {
    this.idle = false;
    this.#guest.send(
      request,
      (reply) => {
        this.idle = true;
        then(reply);
      },
      data,
    );
  }

  #anyFile(): Node | undefined {
    const files = [...new Set(this.#names.values())].filter(({ kind, fh }) => kind === 'file' && fh !== 0);
    return files.length === 0 ? undefined : this.#random.pick(files);
  }

  #made(kind: Node['kind'], reply: ReplyDecoder, content: Buffer<ArrayBuffer> = Buffer.alloc(0)): Node {
    const { nodeid } = reply.readEntry();
    const fh = kind === 'file' ? reply.fh : 0;
    return { kind, nodeid, lookups: 1, fh, content, mark: null, names: 1 };
  }

  #make(
    request: RequestEncoder,
    name: string,
    kind: Node['kind'],
    content: Buffer<ArrayBuffer> = Buffer.alloc(0),
  ): void {
    const taken = this.#names.has(name);
    this.#send(request, (reply) => {
      same(`${kind} ${name}`, reply.error, taken ? EEXIST : 0);
      if (!taken) this.#names.set(name, this.#made(kind, reply, content));
    });
  }

  /** CREATE of a file that is there, which empties it. */
  #createAgain(name: string, node: Node | undefined): void {
    if (node === undefined || node.kind !== 'file' || node.fh === 0) {
      this.#look(name, node);
      return;
    }
    const { fh } = node;
    this.#send(this.#request.create(this.#dir, name, O_RDWR | O_TRUNC, 0o644), (reply) => {
      same(`CREATE of ${name}, which is there`, reply.error, 0);
      same('nodeid', reply.readEntry().nodeid, node.nodeid);
      node.lookups++;
      node.content = Buffer.alloc(0);
      const second = reply.fh;
      this.#send(this.#request.release(node.nodeid, fh), (closed) => {
        same('RELEASE', closed.error, 0);
        node.fh = second;
      });
    });
  }

  /** A file without a name: written, read, and let go. */
  #tmpfile(): void {
    const text = Buffer.from(`without a name ${this.#random.u32()}`);
    this.#send(this.#request.tmpfile(this.#dir, O_RDWR, 0o600), (made) => {
      same('TMPFILE', made.error, 0);
      const { nodeid } = made.readEntry();
      const { fh } = made;
      this.#send(
        this.#request.write(nodeid, fh, 0, text.length),
        (written) => {
          same('WRITE to a file without a name', written.count, text.length);
          this.#send(this.#request.read(nodeid, fh, 0, 100), (read) => {
            same('a file without a name', Buffer.from(read.data).toString(), text.toString());
            this.#send(this.#request.release(nodeid, fh), () => this.#guest.forget(nodeid, 1));
          });
        },
        text,
      );
    });
  }

  #link(name: string, from: string): void {
    const node = this.#names.get(from);
    if (node === undefined || node.kind !== 'file') {
      this.#look(from, node);
      return;
    }
    const taken = this.#names.has(name);
    this.#send(this.#request.link(node.nodeid, this.#dir, name), (reply) => {
      same(`LINK ${name}`, reply.error, taken ? EEXIST : 0);
      if (taken) return;
      same('nodeid', reply.readEntry().nodeid, node.nodeid);
      node.lookups++;
      node.names++;
      this.#names.set(name, node);
    });
  }

  #unlink(name: string, node: Node | undefined): void {
    if (node?.kind === 'directory') {
      this.#look(name, node);
      return;
    }
    this.#send(this.#request.unlink(this.#dir, name), (reply) => {
      same(`UNLINK ${name}`, reply.error, node === undefined ? ENOENT : 0);
      if (node !== undefined) this.#lose(name, node);
    });
  }

  #rmdir(name: string, node: Node | undefined): void {
    if (node !== undefined && node.kind !== 'directory') {
      this.#look(name, node);
      return;
    }
    this.#send(this.#request.rmdir(this.#dir, name), (reply) => {
      same(`RMDIR ${name}`, reply.error, node === undefined ? ENOENT : 0);
      if (node !== undefined) this.#lose(name, node);
    });
  }

  #rename(name: string, node: Node | undefined, to: string): void {
    const over = this.#names.get(to);
    const kinds = (node?.kind === 'directory') === (over?.kind === 'directory');
    if (over !== undefined && !kinds) {
      this.#look(name, node);
      return;
    }
    this.#send(this.#request.rename(this.#dir, name, this.#dir, to), (reply) => {
      same(`RENAME ${name} ${to}`, reply.error, node === undefined ? ENOENT : 0);
      must(reply.error !== ENOTEMPTY, 'directories here are empty');
      // Two names of one file: nothing happens.
      if (node === undefined || over === node) return;
      if (over !== undefined) this.#lose(to, over);
      this.#names.delete(name);
      this.#names.set(to, node);
    });
  }

  #exchange(name: string, node: Node | undefined, to: string): void {
    const over = this.#names.get(to);
    this.#send(this.#request.rename2(this.#dir, name, this.#dir, to, 2), (reply) => {
      same(`RENAME2 ${name} ${to}`, reply.error, node === undefined || over === undefined ? ENOENT : 0);
      if (node === undefined || over === undefined) return;
      this.#names.set(name, over);
      this.#names.set(to, node);
    });
  }

  #look(name: string, node: Node | undefined): void {
    this.#send(this.#request.lookup(this.#dir, name), (reply) => {
      if (node === undefined) {
        must(reply.error === ENOENT || reply.readEntry().nodeid === 0, `LOOKUP ${name} finds what is not there`);
        return;
      }
      const { nodeid, attr } = reply.readEntry();
      same(`nodeid of ${name}`, nodeid, node.nodeid);
      if (node.kind === 'file') same(`size of ${name}`, attr.size, node.content.length);
      if (node.kind === 'file') same(`links of ${name}`, attr.nlink, node.names);
      node.lookups++;
    });
  }

  #list(): void {
    this.#send(this.#request.opendir(this.#dir), (opened) => {
      same('OPENDIR', opened.error, 0);
      const { fh } = opened;
      this.#send(this.#request.readdir(this.#dir, fh, 0, 0, 8192), (listed) => {
        const names = listed.readRecords().map(({ name }) => Buffer.from(name).toString());
        const wanted = [...this.#names.keys(), '.', '..'].sort().join(' ');
        same('READDIR', names.sort().join(' '), wanted);
        this.#send(this.#request.releasedir(this.#dir, fh), (closed) => same('RELEASEDIR', closed.error, 0));
      });
    });
  }

  #reopen(file: Node): void {
    this.#send(this.#request.release(file.nodeid, file.fh), (closed) => {
      same('RELEASE', closed.error, 0);
      file.fh = 0;
      this.#send(this.#request.open(file.nodeid, O_RDWR), (opened) => {
        same('OPEN', opened.error, 0);
        file.fh = opened.fh;
      });
    });
  }

  #setMark(file: Node): void {
    const mark = `m${this.#random.u32()}`;
    const had = file.mark;
    this.#send(this.#request.setxattr(file.nodeid, ATTRIBUTE, Buffer.from(mark), XATTR_CREATE), (reply) => {
      same('SETXATTR', reply.error, had === null ? 0 : EEXIST);
      if (had === null) file.mark = mark;
    });
  }

  #removeMark(file: Node): void {
    const had = file.mark;
    this.#send(this.#request.removexattr(file.nodeid, ATTRIBUTE), (reply) => {
      same('REMOVEXATTR', reply.error, had === null ? ENODATA : 0);
      file.mark = null;
    });
  }

  #truncate(file: Node): void {
    const size = this.#random.below(MAX_BYTES);
    this.#send(this.#request.setattr(file.nodeid, { size, fh: file.fh }), (reply) => {
      same('SETATTR', reply.error, 0);
      same('size', reply.readAttributes().size, size);
      const content = Buffer.alloc(size);
      file.content.copy(content);
      file.content = content;
    });
  }

  #read(file: Node): void {
    const at = this.#random.below(file.content.length + 1);
    const len = 1 + this.#random.below(MOST_WRITTEN);
    this.#send(this.#request.read(file.nodeid, file.fh, at, len), (reply) => {
      same('READ', reply.error, 0);
      must(Buffer.from(reply.data).equals(file.content.subarray(at, at + len)), `READ at ${at}: other bytes`);
    });
  }

  #write(file: Node, append: boolean): void {
    const data = Buffer.alloc(1 + this.#random.below(MOST_WRITTEN), `${this.#random.u32()} `);
    const at = append ? file.content.length : this.#random.below(Math.min(file.content.length + 100, MAX_BYTES));
    // A full file is emptied in its place.
    if (at + data.length > 2 * MAX_BYTES) {
      this.#truncate(file);
      return;
    }
    const request = this.#request.write(
      file.nodeid,
      file.fh,
      append ? 0 : at,
      data.length,
      append ? O_RDWR | O_APPEND : O_RDWR,
    );
    this.#send(
      request,
      (reply) => {
        same(append ? 'append' : 'WRITE', reply.error, 0);
        same('bytes written', reply.count, data.length);
        const content = Buffer.alloc(Math.max(file.content.length, at + data.length));
        file.content.copy(content);
        data.copy(content, at);
        file.content = content;
      },
      data,
    );
  }

  /** A name went. What has none any more is closed and forgotten. */
  #lose(name: string, node: Node): void {
    this.#names.delete(name);
    node.names--;
    if (node.names > 0) return;
    if (node.fh !== 0) {
      const { fh } = node;
      this.#send(this.#request.read(node.nodeid, fh, 0, MAX_BYTES * 2), (read) => {
        same('READ of a file that lost its name', read.error, 0);
        must(Buffer.from(read.data).equals(node.content), 'a file that lost its name has other bytes');
        this.#send(this.#request.release(node.nodeid, fh), () => this.#guest.forget(node.nodeid, node.lookups));
      });
    } else this.#guest.forget(node.nodeid, node.lookups);
  }
}
