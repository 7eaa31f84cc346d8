/** What a guard asks of the host. A process that gave its rights up has another one do it. */
import {
  type EventLoop,
  mappedBytesBehind,
  nameInMaps,
  openTruncationWatch,
  type Sys,
  type TruncationWatch,
} from '@oriel/sys';

/** Watches files, and looks at what is mapped of them. */
export interface GuardHost {
  /** See `openTruncationWatch`. @throws SysError */
  openWatch(loop: EventLoop): TruncationWatch;
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
