/** Windows under test, files to map in them, and how the kernel sees them. */
import { readFileSync } from 'node:fs';
import { type UnmappedPolicy, Window, type WindowFault, type WindowOptions, type WireMapping } from '@oriel/shm-region';
import { check, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, openSys, type Sys } from '@oriel/sys';

export const sys = openSys();
export const PAGE = sys.mem.pageSize;
export const PAGES = 16;
const SHMID = 3;

/** A file of so many pages, full of `byte`. */
export function memfd(pages: number, byte = 0): Fd {
  const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('window-test', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  check(sys.fd.pwrite(fd.fd, new Uint8Array(pages * PAGE).fill(byte), pages * PAGE, 0), 'pwrite');
  return fd;
}

export function make(options: Partial<WindowOptions> = {}, slices: Pick<Sys, 'mem' | 'fd' | 'file'> = sys): Window {
  return new Window(slices, { shmid: SHMID, size: PAGES * PAGE, ...options });
}

/** With what happens in its unmapped parts. */
export function makeWith(unmapped: UnmappedPolicy, more: Partial<WindowOptions> = {}, slices: Sys = sys) {
  const faults: WindowFault[] = [];
  const onFault = (fault: WindowFault) => void faults.push(fault);
  return { window: make({ unmapped, onFault, ...more }, slices), faults };
}

export function wire(page: number, pages: number, more: Partial<WireMapping> = {}): WireMapping {
  return { shmid: SHMID, shmOffset: page * PAGE, len: pages * PAGE, fdOffset: 0, writable: true, ...more };
}

/** A byte of the window, or the errno. */
export function read(window: Window, at: number): number {
  const byte = new Uint8Array(1);
  const result = window.read(at, byte);
  return result < 0 ? result : byte[0]!;
}

export function write(window: Window, at: number, byte: number): number {
  return window.write(at, Uint8Array.of(byte));
}

/** The protection of each page of the window, as the kernel tells it. */
function protections(window: Window): string[] {
  const pages: string[] = new Array(PAGES).fill('hole');
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const [range = '', protection = ''] = line.split(' ');
    const [start = 0, end = 0] = range.split('-').map((text) => Number.parseInt(text, 16));
    for (let page = 0; page < PAGES; page += 1) {
      const at = window.addr + page * PAGE;
      if (at >= start && at < end) {
        pages[page] = protection;
      }
    }
  }
  return pages;
}

/** The protection of one. */
export function protection(window: Window, page: number): string {
  return protections(window)[page]!;
}

/** The window's address space as the kernel tells it: `first page+pages protection`, neighbours of one kind joined. */
export function layout(window: Window): string[] {
  const pages = protections(window);
  const runs: string[] = [];
  let from = 0;
  for (let page = 1; page <= PAGES; page += 1) {
    if (pages[page] !== pages[from]) {
      runs.push(`${from}+${page - from} ${pages[from]}`);
      from = page;
    }
  }
  return runs;
}
