/** Actions on names. */
import { O_CREAT, O_EXCL, O_RDWR, RENAME_EXCHANGE } from '@oriel/sys';
import { must, same } from '../errors.ts';
import { ModelDirectory, ModelFile, ModelLink, type ModelNode, type Place } from './model-tree.ts';
import type { Session } from './session.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'long'.repeat(60)];
const MOST_DIRECTORIES = 6;
const TARGETS = ['a', '../b', '/nowhere', 'x'.repeat(300)];
const DT_DIRECTORY = 4;
const DT_FILE = 8;
const DT_LINK = 10;
const TYPES: Readonly<Record<ModelNode['kind'], number>> = { file: DT_FILE, directory: DT_DIRECTORY, link: DT_LINK };

/** One of the actions, by name. */
export type NameAction =
  | 'create'
  | 'mkdir'
  | 'symlink'
  | 'link'
  | 'unlink'
  | 'rmdir'
  | 'rename'
  | 'exchange'
  | 'lookup'
  | 'getattr'
  | 'readlink'
  | 'list'
  | 'forget'
  | 'open'
  | 'close';

/** Does it somewhere. */
export function actOnNames(session: Session, action: NameAction): void {
  const { random, tree } = session.around;
  const { files } = session;
  const place = somePlace(session);
  const parent = files.inode(place.directory).nodeid;
  const node = tree.at(place);
  switch (action) {
    case 'create':
      create(session, place);
      break;
    case 'mkdir':
      if (tree.directories().length < MOST_DIRECTORIES) {
        files.encoder.mkdir(parent, place.name, 0o755);
        made(session, place, 'MKDIR', new ModelDirectory(place.directory));
      }
      break;
    case 'symlink': {
      const target = random.pick(TARGETS);
      files.encoder.symlink(parent, place.name, target);
      made(session, place, 'SYMLINK', new ModelLink(target));
      break;
    }
    case 'link': {
      const other = tree.at(somePlace(session));
      if (other === undefined || other.kind === 'directory') break;
      files.encoder.link(files.inode(other).nodeid, parent, place.name);
      const reply = files.expect('LINK', tree.link(other, place));
      if (reply !== null) files.learn(other, reply);
      break;
    }
    case 'unlink':
      files.encoder.unlink(parent, place.name);
      files.expect('UNLINK', tree.unlink(place));
      gone(session, node);
      break;
    case 'rmdir':
      files.encoder.rmdir(parent, place.name);
      files.expect('RMDIR', tree.rmdir(place));
      gone(session, node);
      break;
    case 'rename':
    case 'exchange': {
      const to = somePlace(session);
      const old = tree.at(to);
      const target = files.inode(to.directory).nodeid;
      const exchanges = action === 'exchange';
      files.encoder.rename2(parent, place.name, target, to.name, exchanges ? RENAME_EXCHANGE : 0);
      files.expect('RENAME2', exchanges ? tree.exchange(place, to) : tree.rename(place, to));
      gone(session, old);
      break;
    }
    case 'lookup':
      files.lookup(place);
      break;
    case 'getattr':
      if (node !== undefined) files.getattr(node);
      break;
    case 'readlink':
      if (node?.kind === 'link') {
        files.encoder.readlink(files.inode(node).nodeid);
        same('target', Buffer.from(files.expect('READLINK', 0)!.data).toString(), node.target);
      }
      break;
    case 'list':
      list(session, random.pick(tree.directories()));
      break;
    case 'forget':
      if (node !== undefined && node.kind !== 'directory') session.evict(node);
      break;
    case 'open':
      if (node?.kind === 'file' && files.inode(node).handles.length < 3) files.open(node);
      break;
    case 'close': {
      const open = files.knownFiles().filter((file) => files.known(file)!.handles.length > 0);
      if (open.length === 0) break;
      const file = random.pick(open);
      files.close(file);
      // FLUSH and RELEASE write back what was stored.
      file.unsynced = false;
      if (file.links === 0) session.evict(file);
      break;
    }
  }
}

/** Compares a directory with the model by READDIRPLUS; each entry counts as a lookup. */
export function list(session: Session, directory: ModelDirectory): void {
  const { files, client } = session;
  const records = client.list(true, files.inode(directory).nodeid).filter(({ name }) => name !== '.' && name !== '..');
  const names = records.map(({ name }) => name).sort();
  same('names in a directory', names.join('/'), [...directory.entries.keys()].sort().join('/'));
  for (const { name, type, entry } of records) {
    const node = directory.entries.get(name)!;
    same('type of an entry', type, TYPES[node.kind]);
    if (entry === null) continue;
    const { nodeid, attr } = entry;
    files.learnEntry(
      node,
      { nodeid, size: attr.size, mode: attr.mode, dax: (attr.flags & 2) !== 0, mtime: 0 },
      attr.nlink,
    );
  }
}

function somePlace(session: Session): Place {
  const { random, tree } = session.around;
  return { directory: random.pick(tree.directories()), name: random.pick(NAMES) };
}

function create(session: Session, place: Place): void {
  const { files, around } = session;
  const exclusive = around.random.once(2);
  const old = around.tree.at(place);
  const parent = files.inode(place.directory).nodeid;
  files.encoder.create(parent, place.name, O_RDWR | O_CREAT | (exclusive ? O_EXCL : 0), 0o644);
  if (old !== undefined && (exclusive || old.kind !== 'file')) {
    must(files.call('CREATE').error !== 0, `a CREATE over a ${old.kind}`);
    return;
  }
  const file = old === undefined ? new ModelFile() : (old as ModelFile);
  if (old === undefined) around.tree.add(place, file);
  const reply = files.expect('CREATE', 0)!;
  const { fh } = reply;
  files.learn(file, reply);
  files.known(file)!.handles.push(fh);
}

/** A request that makes a node, which the encoder holds. */
function made(session: Session, place: Place, name: string, node: ModelNode): void {
  const reply = session.files.expect(name, session.around.tree.add(place, node));
  if (reply !== null) session.files.learn(node, reply);
}

/** A node may have lost its last name. */
function gone(session: Session, node: ModelNode | undefined): void {
  if (node === undefined) return;
  const { tree } = session.around;
  const named = node.kind === 'directory' ? tree.directories().includes(node) : node.links > 0;
  if (!named) session.evict(node);
}
