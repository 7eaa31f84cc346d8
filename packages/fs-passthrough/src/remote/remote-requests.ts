/** Requests about mounts that may not answer: each as `ShareRequests` has it, by system calls of helper threads. */
import type { Operation } from '@oriel/fuse';
import type { ShareRequests } from '../share-requests.ts';
import type { RequestRoutes } from './request-routes.ts';

/** What these requests are about is an inode, or an entry of a directory. */
const ON_INODE = [
  'lookup',
  'getattr',
  'statx',
  'statfs',
  'readlink',
  'symlink',
  'mknod',
  'mkdir',
  'unlink',
  'rmdir',
  'open',
  'create',
  'tmpfile',
  'opendir',
  'syncfs',
  'getxattr',
  'setxattr',
  'listxattr',
  'removexattr',
] as const;

/** These name two, and where among the arguments they stand. */
const ON_TWO = [
  ['rename', [1, 3]],
  ['link', [1, 2]],
] as const;

/** What these are about are open files, and where among the arguments their fh stands. */
const ON_HANDLES = [
  ['read', [2]],
  ['write', [2]],
  ['fsync', [2]],
  ['fallocate', [2]],
  ['lseek', [2]],
  ['copyFileRange', [2, 5]],
  ['flush', [2]],
  ['ioctl', [2]],
  ['readdir', [2]],
  ['getlk', [2]],
  ['setlk', [2]],
] as const;

type InodeRequest = (typeof ON_INODE)[number] | (typeof ON_TWO)[number][0];
type HandleRequest = (typeof ON_HANDLES)[number][0];

/** Both, and SETATTR, which may name an open file. */
export type RemoteRequests = Pick<ShareRequests, InodeRequest | HandleRequest | 'setattr'>;

type Method = (op: Operation, nodeid: number, ...rest: unknown[]) => number;

/** Makes them of the requests of a share. */
export function remoteRequests(routes: RequestRoutes, requests: ShareRequests): RemoteRequests {
  const methods: Record<string, Method> = {};
  const here = (name: keyof RemoteRequests): Method => (requests[name] as unknown as Method).bind(requests);
  for (const name of ON_INODE) {
    const make = here(name);
    methods[name] = (...args) => routes.runOnInode([args[1]], args[0], () => make(...args));
  }
  for (const [name, inodes] of ON_TWO) {
    const make = here(name);
    methods[name] = (...args) => {
      const nodeids = inodes.map((at) => args[at] as number);
      return routes.runOnInode(nodeids, args[0], () => make(...args));
    };
  }
  for (const [name, handles] of ON_HANDLES) {
    const make = here(name);
    methods[name] = (...args) => {
      const fhs = handles.map((at) => args[at] as number);
      return routes.runOnHandles(fhs, args[0], () => make(...args));
    };
  }
  return {
    ...(methods as unknown as Omit<RemoteRequests, 'setattr'>),
    setattr(op, nodeid, change) {
      const code = (): number => requests.setattr(op, nodeid, change);
      return change.fh < 0 ? routes.runOnInode([nodeid], op, code) : routes.runOnHandles([change.fh], op, code);
    },
  };
}
