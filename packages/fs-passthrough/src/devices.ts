/**
 * The mounts that a share spans. An inode is known by (device, mount, inode number): inode numbers are unique within one
 * device only, and one device that is mounted twice gives two directories that must not be taken for one.
 */
import {
  BTRFS_SUPER_MAGIC,
  EROFS_SUPER_MAGIC_V1,
  EXT4_SUPER_MAGIC,
  F2FS_SUPER_MAGIC,
  OVERLAYFS_SUPER_MAGIC,
  PROC_SUPER_MAGIC,
  RAMFS_MAGIC,
  SQUASHFS_MAGIC,
  Statfs,
  type SysFd,
  type SysFile,
  TMPFS_MAGIC,
  XFS_SUPER_MAGIC,
} from '@oriel/sys';
import type { Scratch } from './scratch.ts';
import { keepFd } from './survival/keep-fd.ts';
import { mountName, type ShareJournal } from './survival/share-journal.ts';

/** What statfs(2) says of file systems on disks, as in linux/magic.h and in ZFS. */
const MSDOS_SUPER_MAGIC = 0x4d44;
const EXFAT_SUPER_MAGIC = 0x2011_bab0;
const NTFS3_SUPER_MAGIC = 0x7366_746e;
const ISOFS_SUPER_MAGIC = 0x9660;
const ZFS_SUPER_MAGIC = 0x2fc1_2fc1;
const BCACHEFS_SUPER_MAGIC = 0xca45_1a4e;

/** File systems in memory: nothing to wait for. */
const IN_MEMORY: ReadonlySet<number> = new Set([TMPFS_MAGIC, RAMFS_MAGIC]);
/** File systems on a local disk: what is cached comes at once, and closing a file does nothing. */
const ON_DISK: ReadonlySet<number> = new Set([
  EXT4_SUPER_MAGIC,
  XFS_SUPER_MAGIC,
  BTRFS_SUPER_MAGIC,
  F2FS_SUPER_MAGIC,
  SQUASHFS_MAGIC,
  EROFS_SUPER_MAGIC_V1,
  // What its layers are cannot be asked for; they hardly ever are remote.
  OVERLAYFS_SUPER_MAGIC,
  MSDOS_SUPER_MAGIC,
  EXFAT_SUPER_MAGIC,
  NTFS3_SUPER_MAGIC,
  ISOFS_SUPER_MAGIC,
  ZFS_SUPER_MAGIC,
  BCACHEFS_SUPER_MAGIC,
]);

/** True for a file system whose files are the host itself. */
export function isOfKernel(magic: number): boolean {
  return OF_KERNEL.has(magic);
}

/** What statfs(2) says of the kernel's own file systems, as in linux/magic.h. */
const SYSFS_MAGIC = 0x6265_6572;
const DEBUGFS_MAGIC = 0x6462_6720;
const TRACEFS_MAGIC = 0x7472_6163;
const SECURITYFS_MAGIC = 0x7363_6673;
const CONFIGFS_MAGIC = 0x6265_6570;
const EFIVARFS_MAGIC = 0xde5e_81e4;
const BPF_FS_MAGIC = 0xcafe_4a11;
const CGROUP_SUPER_MAGIC = 0x27_e0eb;
const CGROUP2_SUPER_MAGIC = 0x6367_7270;
const BINFMTFS_MAGIC = 0x4249_4e4d;

/** File systems whose files are the host itself: its processes' memory, its settings. */
const OF_KERNEL: ReadonlySet<number> = new Set([
  PROC_SUPER_MAGIC,
  SYSFS_MAGIC,
  DEBUGFS_MAGIC,
  TRACEFS_MAGIC,
  SECURITYFS_MAGIC,
  CONFIGFS_MAGIC,
  EFIVARFS_MAGIC,
  BPF_FS_MAGIC,
  CGROUP_SUPER_MAGIC,
  CGROUP2_SUPER_MAGIC,
  BINFMTFS_MAGIC,
]);

/** One mounted file system. */
export class Device {
  /** Its place among those in use, from 1 on. */
  readonly number: number;
  readonly major: number;
  readonly minor: number;
  readonly mount: number;
  /** False: a network file system, or one we know nothing of. */
  readonly local: boolean;
  /** Its files may be listed, but not opened or made: they reach beyond the share. */
  readonly ofKernel: boolean;
  /** It may ask a server for anything, and wait for ever. */
  readonly remote: boolean;
  /** preadv2(RWF_NOWAIT) is worth a try; false once it said EOPNOTSUPP. */
  nowait: boolean;
  /** For open_by_handle_at; -1 where that cannot be used, or was not tried. */
  mountFd = -1;
  /** Why file handles cannot be used, positive; 0 while that is not known. */
  handleErrno = 0;
  /** Inodes and handles on it; at 0 the record goes. */
  users = 0;
  /** Its number in the journal; 0: it has none. */
  journalRecord = 0;

  constructor(number: number, major: number, minor: number, mount: number, magic: number) {
    this.number = number;
    this.major = major;
    this.minor = minor;
    this.mount = mount;
    this.local = IN_MEMORY.has(magic) || ON_DISK.has(magic);
    this.ofKernel = OF_KERNEL.has(magic);
    this.remote = !this.local && !this.ofKernel;
    this.nowait = !IN_MEMORY.has(magic);
  }

  /**
   * Whether inodes on it may give up their descriptors for file handles. Not where opening by handle asks a server: that a later
   * request waits for it must not depend on how many others are known.
   */
  get givesUp(): boolean {
    return this.mountFd >= 0 && !this.remote;
  }
}

/** The devices in use, with their descriptors; few, so a list with a memory for the last one asked for. */
export class Devices {
  readonly #fd: SysFd;
  readonly #file: SysFile;
  readonly #close: (fd: number, device: Device) => void;
  readonly #scratch: Scratch;
  readonly #list: Device[] = [];
  readonly #byNumber: (Device | undefined)[] = [undefined];
  #last: Device | undefined;
  /** Descriptors that the records hold. */
  mountFds = 0;
  /** How many are remote. */
  remotes = 0;
  #journal: ShareJournal | null = null;

  /** @param close - closes an open file of a mount */
  constructor(sys: { fd: SysFd; file: SysFile }, close: (fd: number, device: Device) => void, scratch: Scratch) {
    this.#fd = sys.fd;
    this.#close = close;
    this.#file = sys.file;
    this.#scratch = scratch;
  }

  get count(): number {
    return this.#list.length;
  }

  /** The record with a number, which is in use. */
  numbered(number: number): Device {
    return this.#byNumber[number]!;
  }

  /** The record of a mount; undefined when nothing on it is known. */
  find(major: number, minor: number, mount: number): Device | undefined {
    const last = this.#last;
    if (last !== undefined && last.minor === minor && last.major === major && last.mount === mount) {
      return last;
    }
    for (const device of this.#list) {
      if (device.minor === minor && device.major === major && device.mount === mount) {
        this.#last = device;
        return device;
      }
    }
    return undefined;
  }

  /** What statfs(2) calls the file system of a file; 0 when that cannot be told. */
  magicOf(fd: number): number {
    const failed = this.#file.fstatfs(fd, this.#scratch.statfs) < 0;
    return failed ? 0 : Statfs.fType.lo(this.#scratch.view, this.#scratch.statfsAt);
  }

  /** Makes the record of a mount that has none. */
  add(major: number, minor: number, mount: number, magic: number): Device {
    const free = this.#byNumber.indexOf(undefined, 1);
    const number = free < 0 ? this.#byNumber.length : free;
    const device = new Device(number, major, minor, mount, magic);
    this.#byNumber[number] = device;
    this.#list.push(device);
    this.remotes += device.remote ? 1 : 0;
    this.#last = device;
    return device;
  }

  /** Tells the journal of mounts from now on; null: nobody, and what it was told stays. No inode but the root is known. */
  useJournal(journal: ShareJournal | null): void {
    this.#journal = journal;
    for (const device of this.#list) {
      device.journalRecord = 0;
      this.#record(device);
    }
  }

  /** A mount that the journal tells of. @param mountFd - given away */
  takeUp(record: number, major: number, minor: number, mount: number, mountFd: number): Device {
    const device = this.find(major, minor, mount) ?? this.add(major, minor, mount, this.magicOf(mountFd));
    if (device.mountFd >= 0) {
      this.#fd.close(mountFd);
    } else {
      this.setMountFd(device, mountFd);
    }
    device.journalRecord = record;
    return device;
  }

  /** Notes how a try of file handles ended: a descriptor, which is given away, or a negative errno. */
  setMountFd(device: Device, result: number): void {
    if (result < 0) {
      device.handleErrno = -result;
    } else {
      device.mountFd = result;
      this.mountFds++;
      this.#record(device);
    }
  }

  /** A mount whose files can be opened by handle is told to the journal, with a descriptor to do so. */
  #record(device: Device): void {
    const journal = this.#journal;
    if (journal === null || device.mountFd < 0 || device.journalRecord !== 0) {
      return;
    }
    const record = journal.addDevice(device.major, device.minor, device.mount);
    if (record !== 0 && keepFd(journal.store, this.#fd, mountName(record), device.mountFd)) {
      device.journalRecord = record;
    } else if (record !== 0) {
      journal.removeDevice(record);
    }
  }

  /** Ends one use of a device. */
  release(device: Device): void {
    device.users--;
    if (device.users === 0) {
      if (this.#journal !== null && device.journalRecord !== 0) {
        this.#journal.removeDevice(device.journalRecord);
        this.#journal.store.forget(mountName(device.journalRecord));
      }
      if (device.mountFd >= 0) {
        this.#close(device.mountFd, device);
        device.mountFd = -1;
        this.mountFds--;
      }
      this.#list.splice(this.#list.indexOf(device), 1);
      this.remotes -= device.remote ? 1 : 0;
      this.#byNumber[device.number] = undefined;
      if (this.#last === device) {
        this.#last = undefined;
      }
    }
  }
}
