/**
 * What the C headers of this host say about the structures, constants and system call numbers that the package has in
 * tables. `node -C @oriel/source test/layout-c.ts` writes it to layout-c.json.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as surface from '../src/index.ts';
import { syscallNumbers } from '../src/koffi/numbers.ts';
import * as kvmLayouts from '../src/kvm-layouts.ts';
import * as layouts from '../src/layouts.ts';

/** Sizes in bytes; a field is [offset, size]. */
export interface HeaderFacts {
  readonly arch: string;
  readonly structs: Record<string, { size: number; fields: Record<string, [number, number]> }>;
  readonly constants: Record<string, number>;
  readonly syscalls: Record<'x64' | 'arm64', Record<string, number>>;
}

/** Fields whose C name is not their own in snake case; null for what C does not name. */
const C_NAMES: Record<string, string | null> = {
  'statx.stxAtimeSec': 'stx_atime.tv_sec',
  'statx.stxAtimeNsec': 'stx_atime.tv_nsec',
  'statx.stxBtimeSec': 'stx_btime.tv_sec',
  'statx.stxBtimeNsec': 'stx_btime.tv_nsec',
  'statx.stxCtimeSec': 'stx_ctime.tv_sec',
  'statx.stxCtimeNsec': 'stx_ctime.tv_nsec',
  'statx.stxMtimeSec': 'stx_mtime.tv_sec',
  'statx.stxMtimeNsec': 'stx_mtime.tv_nsec',
  'flock.type': 'l_type',
  'flock.whence': 'l_whence',
  'flock.start': 'l_start',
  'flock.len': 'l_len',
  'flock.pid': 'l_pid',
  'linux_dirent64.dIno': 'd_ino',
  '__user_cap_data_struct.words': null,
  'kvm_run.mmioPhysAddr': 'mmio.phys_addr',
  'kvm_run.mmioData': 'mmio.data',
  'kvm_run.mmioLen': 'mmio.len',
  'kvm_run.mmioIsWrite': 'mmio.is_write',
  'kvm_vcpu_events.exceptionInjected': 'exception.injected',
  'kvm_vcpu_events.exceptionNr': 'exception.nr',
  'kvm_vcpu_events.exceptionHasErrorCode': 'exception.has_error_code',
  'kvm_vcpu_events.exceptionPending': 'exception.pending',
  'kvm_vcpu_events.exceptionErrorCode': 'exception.error_code',
};

/**
 * `struct linux_dirent64` is in no header for user space; this is getdents64(2). The name is an array without end.
 * `kvm_run.memory_fault` and the whole of `landlock_ruleset_attr` are newer than the headers of some distributions.
 */
const INCLUDES = `
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fanotify.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
struct linux_dirent64 { uint64_t d_ino; int64_t d_off; unsigned short d_reclen; unsigned char d_type; char d_name[]; };
#define landlock_ruleset_attr landlock_ruleset_attr_6_12
struct landlock_ruleset_attr { uint64_t handled_access_fs, handled_access_net, scoped; };
struct kvm_run_memory_fault { uint64_t flags, gpa, size; };
`;

/** Sizes that C pads at the end, or that we keep in pairs. */
const C_SIZES: Record<string, string> = {
  linux_dirent64: 'offsetof(struct linux_dirent64, d_name)',
  kvm_run: 'offsetof(struct kvm_run, mmio.is_write) + 1',
  __user_cap_data_struct: '2 * sizeof(struct __user_cap_data_struct)',
};

const snake = (camel: string) => camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const isPadding = (field: string) => /^(pad|spare|f_?Spare)\d*$|Reserved$/.test(field);

/** Every layout of the package, and every named number of its surface. */
export const ourLayouts = [...Object.values(layouts), ...Object.values(kvmLayouts)];
export const ourConstants: Record<string, number> = Object.fromEntries(
  Object.entries(surface as Record<string, unknown>).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  ),
);

/** The fields of a layout that C names. */
export function namedFields(layout: (typeof ourLayouts)[number]): string[] {
  return layout.fieldNames.filter((field) => !isPadding(field) && C_NAMES[`${layout.structName}.${field}`] !== null);
}

/** True where there is a C compiler. */
export function hasCompiler(): boolean {
  return spawnSync('gcc', ['--version']).status === 0;
}

function program(): string {
  const lines = ['int main(void) {'];
  for (const layout of ourLayouts) {
    const name = layout.structName;
    lines.push(`printf("struct %s size %zu\\n", "${name}", (size_t)(${C_SIZES[name] ?? `sizeof(struct ${name})`}));`);
    for (const field of namedFields(layout)) {
      const member = C_NAMES[`${name}.${field}`] ?? snake(field);
      const size = `sizeof(((struct ${name} *)0)->${member})`;
      lines.push(`printf("field ${name} ${field} %zu %zu\\n", offsetof(struct ${name}, ${member}), ${size});`);
    }
  }
  for (const name of Object.keys(ourConstants)) {
    lines.push(`#ifdef ${name}`, `printf("constant ${name} %lld\\n", (long long)(${name}));`, '#endif');
  }
  return `${INCLUDES}${lines.join('\n')}\nreturn 0; }\n`;
}

function syscallsOf(header: string, flags: string[]): Record<string, number> {
  const names = Object.keys(syscallNumbers('x64')!);
  const input = `#include <${header}>\n${names.map((name) => `NUMBER ${name} __NR_${name}`).join('\n')}\n`;
  const text = execFileSync('gcc', ['-E', '-P', ...flags, '-'], { input, encoding: 'utf8' });
  const found: Record<string, number> = {};
  for (const [, name, number] of text.matchAll(/^NUMBER (\w+) (\d+)$/gm)) {
    found[name!] = Number(number);
  }
  return found;
}

/** Asks the compiler. @throws Error when it fails */
export function readHeaders(): HeaderFacts {
  const dir = mkdtempSync(join(tmpdir(), 'oriel-layout-'));
  try {
    writeFileSync(join(dir, 'layout.c'), program());
    execFileSync('gcc', ['-o', join(dir, 'layout'), join(dir, 'layout.c')]);
    const facts: HeaderFacts = {
      arch: process.arch,
      structs: {},
      constants: {},
      syscalls: {
        x64: process.arch === 'x64' ? syscallsOf('asm/unistd_64.h', []) : {},
        arm64: syscallsOf('asm-generic/unistd.h', ['-D__BITS_PER_LONG=64']),
      },
    };
    for (const line of execFileSync(join(dir, 'layout'), { encoding: 'utf8' }).trim().split('\n')) {
      const [kind, name, ...rest] = line.split(' ') as [string, string, ...string[]];
      if (kind === 'struct') {
        facts.structs[name] = { size: Number(rest[1]), fields: {} };
      } else if (kind === 'field') {
        facts.structs[name]!.fields[rest[0]!] = [Number(rest[1]), Number(rest[2])];
      } else {
        facts.constants[name] = Number(rest[0]);
      }
    }
    return facts;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(new URL('./layout-c.json', import.meta.url), `${JSON.stringify(readHeaders(), null, 1)}\n`);
}
