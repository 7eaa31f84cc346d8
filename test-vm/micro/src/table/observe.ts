/** Makes every access of the policy table and notes what was seen. */
import { UNMAPPED_POLICIES, type UnmappedPolicy } from '@oriel/shm-region';
import { errnoName, type Sys } from '@oriel/sys';
import { FILE_WORD, RANGE_KINDS, type RangeKind, Scene, STORED_WORD } from '../scene.ts';
import { type Access, type Touch, type TouchOutcome, touch } from '../touch/touch.ts';
import { efaultSys } from '../vm/efault-sys.ts';
import type { GuestMode } from '../vm/guest-mode.ts';
import { type GuestReport, kvmMissing, MicroVm } from '../vm/micro-vm.ts';

/** One row: what each kind of access came to, in words. */
export interface Observation {
  readonly policy: UnmappedPolicy;
  readonly kind: RangeKind;
  readonly access: Access;
  /** A raw access by the process that owns the window. */
  readonly process: string;
  /** `Window.read` and `write`. */
  readonly own: string;
  /** A guest of 64-bit user code, where KVM_RUN answers -EFAULT; through the Sys mock where this host does not. */
  readonly guest: string;
  /** A guest in real mode, which some hosts emulate: an MMIO exit takes the place of -EFAULT. */
  readonly realMode: string;
}

const ACCESSES: readonly Access[] = ['load', 'store'];

/** All rows. */
export async function observe(sys: Sys): Promise<Observation[]> {
  const rows: Observation[] = [];
  const children = await Promise.all(UNMAPPED_POLICIES.map((policy) => touchAll(policy)));
  UNMAPPED_POLICIES.forEach((policy, index) => {
    for (const kind of RANGE_KINDS) {
      for (const access of ACCESSES) {
        rows.push({
          policy,
          kind,
          access,
          process: processWords(children[index]!.get(`${kind} ${access}`)!),
          own: ownAccess(sys, policy, kind, access),
          guest: guestAccess(sys, { policy, kind, access, mode: 'user' }),
          realMode: realModeAccess(sys, { policy, kind, access, mode: 'real' }),
        });
      }
    }
  });
  return rows;
}

async function touchAll(policy: UnmappedPolicy): Promise<Map<string, TouchOutcome>> {
  const accesses = RANGE_KINDS.flatMap((kind) => ACCESSES.map((access) => ({ kind, access })));
  const outcomes = await touch({ policy, accesses });
  return new Map(accesses.map(({ kind, access }, index) => [`${kind} ${access}`, outcomes[index]!]));
}

function processWords(outcome: TouchOutcome): string {
  if (typeof outcome === 'string') {
    return outcome;
  }
  const { value, wiped } = outcome;
  const seen = wordName(value);
  return wiped === null || value === wiped ? seen : `${seen}, ${wordName(wiped)} once wiped`;
}

function ownAccess(sys: Sys, policy: UnmappedPolicy, kind: RangeKind, access: Access): string {
  using scene = new Scene(sys, { policy });
  const at = scene.offset(kind);
  const word = new Uint32Array([STORED_WORD]);
  const bytes = new Uint8Array(word.buffer);
  const done = access === 'load' ? scene.window.read(at, bytes) : scene.window.write(at, bytes);
  if (done < 0) {
    return errnoName(-done);
  }
  if (access === 'store') {
    scene.window.read(at, bytes);
  }
  return wordName(word[0]!);
}

/** What a guest is to do. */
interface GuestOrder extends Touch {
  readonly policy: UnmappedPolicy;
  readonly mode: GuestMode['name'];
}

interface GuestReports {
  readonly first: GuestReport;
  /** A load behind the access. */
  readonly after: GuestReport;
}

function guestReports(sys: Sys, { policy, kind, access, mode }: GuestOrder): GuestReports {
  using scene = new Scene(sys, { policy, discardMeans: 'slots' });
  using vm = new MicroVm({ sys, window: scene.window, mode, readOnlySlots: policy === 'discard' ? 'split' : 'none' });
  const at = scene.offset(kind);
  const first = access === 'load' ? vm.load(at) : vm.store(at, STORED_WORD);
  return { first, after: first.end === 'done' ? vm.load(at) : first };
}

function realModeAccess(sys: Sys, order: GuestOrder): string {
  return kvmMissing(sys) === null ? guestWords(guestReports(sys, order)) : 'not observable here';
}

function guestAccess(sys: Sys, order: GuestOrder): string {
  if (kvmMissing(sys) !== null) {
    return 'not observable here';
  }
  const here = guestReports(sys, order);
  const mocked = guestReports(efaultSys(sys, 'unknown'), order);
  // The mock changes something only where this host emulates.
  return guestWords(here) === guestWords(mocked)
    ? guestWords(here)
    : `not observable here, seen: ${guestWords(here)}; mock: ${guestWords(mocked)}`;
}

function guestWords({ first, after }: GuestReports): string {
  const exits = first.exits.map(({ kind, verdict }) => `${EXIT_NAMES[kind]}, ${verdict}`).join('; ');
  const how = exits === '' ? '' : ` (${exits})`;
  switch (first.end) {
    case 'done':
      return `${wordName(after.value)}${how}`;
    case 'exception':
      return `exception ${first.vector} in the guest${how}`;
    case 'stopped':
      return `VM stopped${how}`;
    case 'broken':
      return `KVM gave up${how}`;
  }
}

const EXIT_NAMES = { mmio: 'MMIO exit', 'memory-fault': 'EFAULT with address', efault: 'EFAULT' } as const;

/** A word as what it means. */
function wordName(word: number): string {
  switch (word) {
    case 0:
      return 'zeros';
    case FILE_WORD:
      return 'the file';
    case STORED_WORD:
      return 'what was stored';
    default:
      return `0x${word.toString(16)}`;
  }
}
