/** qemu-storage-daemon (package qemu-utils), a vhost-user-blk back-end that is no part of a VM. */
import { type GuestEnvironment, treeTool } from './environment.ts';
import { HostProcess } from './process.ts';

/** What to serve. */
export interface StorageDaemonOptions {
  readonly socketPath: string;
  /** An image file, raw; what is discarded is given back to the file system. */
  readonly imagePath: string;
  /** Default 1. */
  readonly queues?: number;
}

/**
 * Starts it and waits until it listens.
 * @param wrap - makes the command to run of its own, such as one that holds it on a CPU
 * @throws GuestError ERR_GUEST_EXITED with its words, ERR_GUEST_TIMEOUT
 */
export function startStorageDaemon(
  environment: GuestEnvironment,
  { socketPath, imagePath, queues = 1 }: StorageDaemonOptions,
  wrap: (command: readonly string[]) => readonly string[] = (command) => command,
): Promise<HostProcess> {
  const program = treeTool(environment.root, 'usr/bin/qemu-storage-daemon').command;
  const file = `driver=file,node-name=disk,filename=${imagePath},discard=unmap`;
  const socket = `addr.type=unix,addr.path=${socketPath}`;
  const type = `vhost-user-blk,id=export,node-name=disk,${socket},writable=on,num-queues=${queues}`;
  // It monitors on stdout once it exports.
  const monitor = ['--chardev', 'stdio,id=monitor', '--monitor', 'chardev=monitor'];
  const command = [...program, '--blockdev', file, '--export', type, ...monitor];
  return HostProcess.startUntil(/QMP/, wrap(command), { name: 'qemu-storage-daemon' });
}
