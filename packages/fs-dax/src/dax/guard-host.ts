/** What a guard asks of the host. A process that gave its rights up has another one do it. */
import {
  type EventLoop,
  mappedBytesBehind,
  nameInMaps,
  openTruncationWatch,
  type Sys,
  type TruncationWatch,
} from '@oriel/sys';
import type { FrontEnd } from '@oriel/virtio-device';

/** Watches files, and looks at what is mapped of them. */
export interface GuardHost {
  /** See `openTruncationWatch`. @param frontend - who maps the files @throws SysError */
  openWatch(loop: EventLoop, frontend: FrontEnd): TruncationWatch;
  /** See `nameInMaps`. @throws SysError */
  nameInMaps(fd: number): string;
  /** See `mappedBytesBehind`. */
  mappedBytesBehind(pid: number, name: string, offset: number): number;
}

/** This process itself. */
export function ownGuardHost(sys: Sys): GuardHost {
  return {
    openWatch: (loop) => openTruncationWatch(sys, loop),
    nameInMaps: (fd) => nameInMaps(sys, fd),
    mappedBytesBehind,
  };
}
