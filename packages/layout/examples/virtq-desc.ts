/** Describes `struct virtq_desc` once, writes a descriptor into memory and reads it back. */
import { struct, U16, U32, U64 } from '@oriel/layout';

/** VIRTIO 1.3, 2.7.5. */
const VirtqDesc = struct('virtq_desc', { addr: U64, len: U32, flags: U16, next: U16 });

const table = new DataView(new ArrayBuffer(4 * VirtqDesc.byteLength));
const base = 2 * VirtqDesc.byteLength;
VirtqDesc.addr.set(table, base, 0x1_2345_6000);
VirtqDesc.len.set(table, base, 4096);

for (const name of VirtqDesc.fieldNames) {
  console.log(`${name} at ${VirtqDesc[name].offset}: ${VirtqDesc[name].get(table, base)}`);
}
