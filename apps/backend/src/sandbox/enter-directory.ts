/** chroot(2). */
import { check, type SysSandbox } from '@oriel/sys';

/** Makes a directory the root and working directory of this thread and of those that share them with it. @throws SysError */
export function enterDirectory(sandbox: SysSandbox, path: string): void {
  const text = new TextEncoder();
  check(sandbox.chroot(text.encode(`${path}\0`)), 'chroot');
  check(sandbox.chdir(text.encode('/\0')), 'chdir');
}
