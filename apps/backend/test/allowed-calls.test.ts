import { execFileSync, spawnSync } from 'node:child_process';
import { CLONE_FS } from '@oriel/sys';
import { expect } from 'chai';
import { allowedCalls, JUDGED, OTHERS } from '../src/sandbox/allowed-calls.ts';

const ALL = { ...OTHERS, ...JUDGED };
const HEADERS = [
  ['asm/unistd_64.h', [], 'x64'],
  ['asm-generic/unistd.h', ['-D__BITS_PER_LONG=64', '-D__ARCH_WANT_NEW_STAT', '-D__ARCH_WANT_SYS_CLONE3'], 'arm64'],
] as const;
/** Younger than the headers of some distributions. */
const MAY_BE_ABSENT = /xattrat$|^file_[gs]etattr$|^fchmodat2$/;
/** What makes rights, processes, sockets, mounts or modules: x86_64, arm64. */
const NEVER = {
  socket: [41, 198],
  connect: [42, 203],
  bind: [49, 200],
  execve: [59, 221],
  execveat: [322, 281],
  fork: [57, -1],
  vfork: [58, -1],
  ptrace: [101, 117],
  process_vm_writev: [311, 271],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  setns: [308, 268],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  init_module: [175, 105],
  finit_module: [313, 273],
  keyctl: [250, 219],
  userfaultfd: [323, 282],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  pidfd_open: [434, 434],
  pidfd_getfd: [438, 438],
  fanotify_init: [300, 262],
  reboot: [169, 142],
  seccomp: [317, 277],
} as const;

describe('the system calls that a sandbox allows', () => {
  for (const [header, flags, arch] of HEADERS) {
    it(`have the numbers of ${arch} headers`, function () {
      if (spawnSync('gcc', ['--version']).status !== 0 || (arch === 'x64' && process.arch !== 'x64')) this.skip();
      const names = Object.keys({ ...ALL, ...NEVER });
      const input = `#include <${header}>\n${names.map((name) => `NUMBER ${name} __NR_${name}`).join('\n')}\n`;
      const text = execFileSync('gcc', ['-E', '-P', ...flags, '-'], { input, encoding: 'utf8' });
      const known = new Map(
        [...text.matchAll(/^NUMBER (\w+) (?:__NR3264_)?(\d+)$/gm)].map(([, name, nr]) => [name, Number(nr)]),
      );
      for (const [name, numbers] of Object.entries({ ...ALL, ...NEVER })) {
        const ours = numbers[arch === 'x64' ? 0 : 1];
        if (ours === -1 ? known.has(name) : known.get(name) !== ours) {
          expect(known.has(name) || !MAY_BE_ABSENT.test(name), `${name}: ${ours}, not ${known.get(name)}`).to.equal(
            false,
          );
        }
      }
    });

    it(`are none that make rights, processes, sockets or mounts (${arch})`, () => {
      const rules = new Map(allowedCalls(77, arch).map((rule) => [rule.nr, rule]));
      for (const [name, numbers] of Object.entries(NEVER)) {
        expect(rules.has(numbers[arch === 'x64' ? 0 : 1]), name).to.equal(false);
      }
    });

    it(`are each there once (${arch})`, () => {
      const numbers = allowedCalls(77, arch).map(({ nr }) => nr);
      expect(new Set(numbers).size).to.equal(numbers.length);
      expect(numbers.every((nr) => nr >= 0)).to.equal(true);
    });
  }

  it('unshare nothing but the working directory and umask of a thread', () => {
    const rule = allowedCalls(77, 'x64').find(({ nr }) => nr === 272);
    expect(rule).to.deep.equal({ nr: 272, when: { arg: 0, values: [CLONE_FS] } });
  });

  it('signal and look at this process alone', () => {
    const rules = allowedCalls(77, 'x64').filter(({ when }) => when?.values.includes(77));
    expect(rules.map(({ nr }) => nr)).to.include.members([JUDGED.kill[0], JUDGED.tgkill[0]]);
    expect(rules).to.have.length(4);
  });
});
