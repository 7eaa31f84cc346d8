/** Filters for seccomp(2): classic BPF that looks at a call's number and, where a rule says so, at one argument. */
import { ENOSYS } from './constants/errno.ts';
import {
  AUDIT_ARCH_AARCH64,
  AUDIT_ARCH_X86_64,
  BPF_ABS,
  BPF_ALU,
  BPF_AND,
  BPF_JEQ,
  BPF_JGE,
  BPF_JMP,
  BPF_K,
  BPF_LD,
  BPF_RET,
  BPF_W,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
} from './constants/sandbox.ts';
import { SeccompData, SockFilter } from './layouts.ts';

/** Numbers from here on are calls of the x32 ABI on x86_64 (asm/unistd.h: `__X32_SYSCALL_BIT`). */
const X32_CALLS = 0x4000_0000;
/** Jump distances are bytes: a rule's values must be reachable. */
const MAX_VALUES = 250;

/** What one call may do. */
export interface FilterRule {
  readonly nr: number;
  /** The call is not made and fails with this errno (positive). */
  readonly errno?: number;
  /** The call is made only when an argument's low 32 bits, masked, are one of some values. */
  readonly when?: { readonly arg: number; readonly mask?: number; readonly values: readonly number[] };
}

type Instruction = readonly [code: number, k: number, jt: number, jf: number];

const load = (offset: number): Instruction => [BPF_LD | BPF_W | BPF_ABS, offset, 0, 0];
const and = (mask: number): Instruction => [BPF_ALU | BPF_AND | BPF_K, mask, 0, 0];
const equal = (value: number, jt: number, jf: number): Instruction => [BPF_JMP | BPF_JEQ | BPF_K, value, jt, jf];
const ret = (action: number): Instruction => [BPF_RET | BPF_K, action, 0, 0];

/** What follows the number of a rule that fits. Every way ends in a return. */
function body({ errno, when }: FilterRule, otherwise: number): Instruction[] {
  if (errno !== undefined) {
    return [ret(SECCOMP_RET_ERRNO | errno)];
  }
  if (when === undefined) {
    return [ret(SECCOMP_RET_ALLOW)];
  }
  const { arg, mask, values } = when;
  if (values.length > MAX_VALUES) {
    throw new RangeError(`a rule takes up to ${MAX_VALUES} values, got ${values.length}`);
  }
  return [
    // Both hosts are little-endian: the low word stands first.
    load(SeccompData.args.offset + 8 * arg),
    ...(mask === undefined ? [] : [and(mask)]),
    ...values.map((value, index) => equal(value >>> 0, values.length - index, 0)),
    ret(otherwise),
    ret(SECCOMP_RET_ALLOW),
  ];
}

/**
 * A filter that allows what rules name.
 * @param otherwise - SECCOMP_RET_* for every other call; with SECCOMP_RET_ALLOW, those of the x32 ABI fail with ENOSYS
 * @param arch - as `process.arch` has it
 * @returns `struct sock_filter` after `struct sock_filter`
 * @throws RangeError for an architecture without numbers, or a rule with too many values
 */
export function seccompFilter(rules: readonly FilterRule[], otherwise: number, arch: string): Uint8Array {
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new RangeError(`no system call filter for ${arch}`);
  }
  const program: Instruction[] = [
    load(SeccompData.arch.offset),
    equal(arch === 'x64' ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64, 1, 0),
    // Numbers of another architecture mean other calls.
    ret(SECCOMP_RET_KILL_PROCESS),
    load(SeccompData.nr.offset),
  ];
  if (arch === 'x64') {
    // Where all else may be made, what a rule refuses would still be made under its other number.
    const unknown = otherwise === SECCOMP_RET_ALLOW ? SECCOMP_RET_ERRNO | ENOSYS : otherwise;
    program.push([BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1], ret(unknown));
  }
  for (const rule of rules) {
    const then = body(rule, otherwise);
    program.push(equal(rule.nr, 0, then.length), ...then);
  }
  program.push(ret(otherwise));
  const bytes = new Uint8Array(program.length * SockFilter.byteLength);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, k, jt, jf]] of program.entries()) {
    const base = index * SockFilter.byteLength;
    SockFilter.code.set(view, base, code);
    SockFilter.jt.set(view, base, jt);
    SockFilter.jf.set(view, base, jf);
    SockFilter.k.set(view, base, k >>> 0);
  }
  return bytes;
}
