/** The guest harness: set-up, boot, programs for the guest, checks of a mounted share. @packageDocumentation */
export {
  type BootOptions,
  bootGuest,
  Guest,
  type RunOptions,
  type TestDeviceOptions,
  vhostUserFs,
  vhostUserTestDevice,
} from './boot.ts';
export { describeEnvironment, guestUnsupported, type SetupOptions, setupGuest } from './setup.ts';
export { fillBlob, type LiveBlob, liveBlobs, wrongBlobs } from './src/blob-memory.ts';
export { BlobProbe, type WantedBlob } from './src/blob-probe.ts';
export { cacheDir } from './src/cache.ts';
export { type DaxShare, type DaxShareOptions, openDaxShare, orielDevice } from './src/dax-share.ts';
export { displayTree } from './src/display-tree.ts';
export { type GuestEnvironment, type GuestKernel, loadEnvironment, treeTool } from './src/environment.ts';
export { GuestError, type GuestErrorCode } from './src/errors.ts';
export { type ExecOptions, exec, execTool, type Tool } from './src/exec.ts';
export { FILE_CHECKS, type FileCheck, type FileCheckContext, fileChecks } from './src/file-checks.ts';
export {
  type GpuMachine,
  type GpuMachineOptions,
  openGpuMachine,
  orielDisplayDevice,
  orielGpuDevice,
  type Screen,
} from './src/gpu-machine.ts';
export { buildInitramfs, type InitramfsOptions } from './src/initramfs.ts';
export { GPU_MODULES } from './src/modules.ts';
export {
  complaints,
  type OrielFsOptions,
  type OrielGpuOptions,
  orielCtl,
  startOriel,
  startOrielFs,
  startOrielGpu,
} from './src/oriel.ts';
export {
  cutOut,
  type Picture,
  paintPattern,
  patternPicture,
  pictureDifference,
  readPng,
  withCursor,
} from './src/picture.ts';
export { compileProbe, compileProbes, type Probe } from './src/probes.ts';
export { HostProcess, type ProcessExit, type ProcessOptions } from './src/process.ts';
export { buildRootTree, type RootTreeOptions } from './src/root-tree.ts';
export { ServedProbe } from './src/served-probe.ts';
export type { CommandResult } from './src/shell.ts';
export { type StorageDaemonOptions, startStorageDaemon } from './src/storage-daemon.ts';
export { guestSuite, type SuiteContext } from './src/suite.ts';
export { compareTrees, describeGuestTree, describeTree, type TreeEntry } from './src/tree-view.ts';
export { startVirtiofsd, type VirtiofsdOptions } from './src/virtiofsd.ts';
export { GuestClient, WaylandMachine, type WaylandMachineOptions, waylandBundle } from './src/wayland-guest.ts';
export { Compositor, type CompositorOptions } from './src/wayland-host.ts';
export { BTN_LEFT, VirtualInput } from './src/wayland-input.ts';
export { globalsIn } from './src/wayland-settings.ts';
export { SIMPLE_SHM, simpleShmDifference } from './src/wayland-simple-shm.ts';
export { SWAY_OUTPUT, Sway, type SwayWindow, startSway } from './src/wayland-sway.ts';
export { waylandTree } from './src/wayland-tree.ts';
export { startWestonOnHost, WAYLAND_BACKGROUND, WESTON_OUTPUT } from './src/wayland-weston.ts';
export { startWeston, WESTON_BACKGROUND, type Weston } from './src/weston.ts';
