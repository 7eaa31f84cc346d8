/**
 * What one front-end demands. The only place that knows VMMs by name: everything else asks the profile, and a device asks
 * its region's limits.
 */
import type { RegionLimits } from '@oriel/shm-region';

/** What one front-end demands. */
export interface FrontendProfile {
  readonly name: 'qemu' | 'strict' | 'crosvm' | 'alioth' | 'virtiofs-old';
  /**
   * How mappings are asked for: SHMEM_MAP, or the FS_MAP of the old virtio-fs fork (in its form of 2018, or of 2021). There
   * no SHMEM is offered, the one window is shmid 0, and the VMM is told its size by its own options.
   */
  readonly dialect: 'shmem' | 'fs-map' | 'fs-map-2021';
  /** Protocol feature bit that means SHMEM: 22, or 21. */
  readonly shmemBit: number;
  /** What the region may do (maxMappings is the profile's sum over all devices of the process). */
  readonly limits: RegionLimits;
  /** Most shared memory regions that a device may have. */
  readonly maxRegions: number;
  /** Memory slots offered in GET_MAX_MEM_SLOTS. */
  readonly maxMemSlots: number;
  /** CONFIGURE_MEM_SLOTS is offered: regions come and go one by one. Else each change sends the whole table, of at most 8. */
  readonly memorySlots: boolean;
  /** How a mapping is known to be visible: the memory-table update that holds it, or the reply itself. */
  readonly visibility: 'memory-update' | 'reply';
  /** After a MAP reply, how long to wait for the memory update before the barrier round trip, ms. */
  readonly fenceTimeoutMs: number;
  /** Device reset at the front-end drops all mappings. */
  readonly resetClears: boolean;
  /** SET_STATUS 0 means a reset. QEMU may send it at every stop, so there it means nothing. */
  readonly statusZeroResets: boolean;
  /** A ring that stops announces that all will: nothing is sent on the back channel from the first one on. */
  readonly stopsTogether: boolean;
  /** SET_FEATURES with bits never offered: 'refuse', or 'mask' (masked, logged once). */
  readonly unknownFeatures: 'refuse' | 'mask';
  /** A request that the front-end refuses is fatal there: send nothing that may be refused. */
  readonly refusalIsFatal: boolean;
  /** Largest window that is advised, bytes (a warning above), and whether the sum of regions must be a power of two. */
  readonly advisedWindow: number;
  readonly powerOfTwoRegions: boolean;
}

const CAREFUL: RegionLimits = {
  pageSize: 4096,
  maxMappings: 480,
  insideFile: true,
  needsWritableFd: true,
  honoursReadOnly: false,
  growsEmptyFile: true,
  overlap: 'refuse',
  unmap: 'exact',
  maxInFlight: 1,
};

/** The memory slots that common back-ends name; every front-end copes with it. */
const MAX_MEM_SLOTS = 509;

/** Below the kernel's limit of 65530 mappings in the front-end's process, with room for its own. */
const MANY_MAPPINGS = 32768;

const NO_ADVICE = Number.MAX_SAFE_INTEGER;

/** The specification and nothing else, with the worst that it allows assumed. */
const STRICT: FrontendProfile = {
  name: 'strict',
  dialect: 'shmem',
  shmemBit: 22,
  limits: CAREFUL,
  maxRegions: 256,
  maxMemSlots: MAX_MEM_SLOTS,
  memorySlots: true,
  visibility: 'reply',
  fenceTimeoutMs: 0,
  resetClears: true,
  statusZeroResets: true,
  stopsTogether: false,
  unknownFeatures: 'refuse',
  refusalIsFatal: true,
  advisedWindow: NO_ADVICE,
  powerOfTwoRegions: false,
};

/** One window of the front-end's own, in which it maps as the host's kernel does; it outlives a reset. */
const OWN_WINDOW = {
  limits: {
    ...CAREFUL,
    maxMappings: MANY_MAPPINGS,
    insideFile: false,
    needsWritableFd: false,
    honoursReadOnly: true,
    growsEmptyFile: false,
  },
  maxRegions: 1,
  resetClears: false,
} as const satisfies Partial<FrontendProfile>;

/** As `OWN_WINDOW`; a mapping replaces what it covers, and any range can be unmapped. */
const REPLACING_WINDOW = {
  ...OWN_WINDOW,
  limits: { ...OWN_WINDOW.limits, overlap: 'replace', unmap: 'range' },
} as const satisfies Partial<FrontendProfile>;

/** The profiles by name: what each has other than `strict`. Limits stand for 4 KiB pages: `profileFor` puts in the host's. */
export const profiles: Readonly<Record<FrontendProfile['name'], FrontendProfile>> = Object.freeze({
  /** QEMU 11.1: 512 regions in all (an assertion), replies before the mapping is visible, shmid windows in one BAR. */
  qemu: {
    ...STRICT,
    name: 'qemu',
    visibility: 'memory-update',
    fenceTimeoutMs: 100,
    statusZeroResets: false,
    stopsTogether: true,
    unknownFeatures: 'mask',
    refusalIsFatal: false,
    advisedWindow: 256 * 1024 * 1024,
    powerOfTwoRegions: true,
  },
  strict: STRICT,
  /**
   * crosvm since August 2026: a refused request ends the VM. It replaces pages silently, but with a memory slot for each
   * mapping it refuses an overlap: so none is asked for.
   */
  crosvm: { ...STRICT, name: 'crosvm', ...OWN_WINDOW },
  /** Alioth, August 2026. */
  alioth: { ...STRICT, name: 'alioth', shmemBit: 21, ...REPLACING_WINDOW },
  /** The virtio-fs fork of QEMU and those that spoke its FS_MAP (Cloud Hypervisor up to 22, crosvm, Kata, before SHMEM). */
  'virtiofs-old': {
    ...STRICT,
    name: 'virtiofs-old',
    dialect: 'fs-map',
    ...REPLACING_WINDOW,
    statusZeroResets: false,
    stopsTogether: true,
    unknownFeatures: 'mask',
    refusalIsFatal: false,
  },
});

/** The profile of a front-end on this host. @param pageSize - bytes, `sys.mem.pageSize` */
export function profileFor(name: FrontendProfile['name'], pageSize: number): FrontendProfile {
  const profile = profiles[name];
  return pageSize === profile.limits.pageSize ? profile : { ...profile, limits: { ...profile.limits, pageSize } };
}

/** Mappings that fit beside guest RAM (up to four regions) into a table of 8. */
const MAPPINGS_WITHOUT_SLOTS = 4;

/**
 * The same front-end with a memory table of at most 8 regions, for a device with a few mappings that live as long as the
 * driver: QEMU 11.1 ends by SIGSEGV when a guest resets a device with slots while mappings are live, and not so without.
 */
export function withoutMemorySlots(profile: FrontendProfile): FrontendProfile {
  const maxMappings = Math.min(profile.limits.maxMappings, MAPPINGS_WITHOUT_SLOTS);
  return { ...profile, memorySlots: false, limits: { ...profile.limits, maxMappings } };
}
