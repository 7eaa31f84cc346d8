/** What a workload of virtio-gpu is to its driver. */
import type { Work } from '../../driver/work.ts';
import type { GpuCommand } from './command.ts';

/** Disposed before the next one is made: its chains stay in the ring, all else goes. */
export interface GpuWork extends Work<GpuCommand>, Disposable {}
