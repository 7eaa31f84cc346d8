/** Serves what is in a zip file, read-only, to one QEMU. A file is unpacked when it is first read. Arguments: the zip, the socket. */
import { readFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { FsDevice } from '@oriel/fs-dax';
import { MemfdFile, type Tree, TreeFilesystem, TreeNode } from '@oriel/fuse';
import { BlockingLoop, EIO, openOffload, openSys, S_IFDIR, S_IFREG } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';

const sys = openSys();

class Entry extends TreeNode {
  readonly children = new Map<string, Entry>();
  size = 0;
  packedSize = 0;
  method = 0;
  /** Of its local header in the zip. */
  offset = 0;
  content: MemfdFile | null = null;
}

class ZipTree implements Tree<Entry> {
  readonly root = new Entry(S_IFDIR | 0o555);
  readonly #zip: Buffer;

  /** Reads the central directory (APPNOTE 4.3.12), which the last record of the file points at. */
  constructor(zip: Buffer) {
    this.#zip = zip;
    const end = zip.lastIndexOf('PK\x05\x06');
    let at = zip.readUInt32LE(end + 16);
    for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
      const nameEnd = at + 46 + zip.readUInt16LE(at + 28);
      const entry = this.#add(zip.toString('latin1', at + 46, nameEnd));
      entry.method = zip.readUInt16LE(at + 10);
      entry.packedSize = zip.readUInt32LE(at + 20);
      entry.size = zip.readUInt32LE(at + 24);
      entry.offset = zip.readUInt32LE(at + 42);
      at = nameEnd + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
    }
  }

  /** The entry of a path; directories on the way to it are made. */
  #add(path: string): Entry {
    let at = this.root;
    const names = path.split('/').filter((name) => name !== '' && name !== '.' && name !== '..');
    names.forEach((name, index) => {
      const isFile = index === names.length - 1 && !path.endsWith('/');
      const next = at.children.get(name) ?? new Entry(isFile ? S_IFREG | 0o444 : S_IFDIR | 0o555);
      at.children.set(name, next);
      at = next;
    });
    return at;
  }

  child(directory: Entry, name: string): Entry | undefined {
    return directory.children.get(name);
  }
  children(directory: Entry): Iterable<[string, Entry]> {
    return directory.children;
  }
  size(file: Entry): number {
    return file.size;
  }
  content(file: Entry): MemfdFile | number {
    if (file.content !== null) return file.content;
    try {
      const zip = this.#zip;
      const at = file.offset + 30 + zip.readUInt16LE(file.offset + 26) + zip.readUInt16LE(file.offset + 28);
      const packed = zip.subarray(at, at + file.packedSize);
      const bytes = file.method === 0 ? packed : inflateRawSync(packed, { maxOutputLength: file.size });
      if (bytes.length !== file.size) return -EIO;
      file.content = new MemfdFile(sys, bytes);
      return file.content;
    } catch {
      return -EIO;
    }
  }
  forgotten(file: Entry): void {
    file.content?.[Symbol.dispose]();
    file.content = null;
  }
}

const [zipPath = 'files.zip', socketPath = '/tmp/oriel-zip.sock'] = process.argv.slice(2);
using loop = new BlockingLoop(sys);
using offload = openOffload(sys, loop);
const fs = new TreeFilesystem(new ZipTree(readFileSync(zipPath)));
using device = new FsDevice({ sys, fs, tag: 'zip', windowSize: 64 << 20, dax: { minSize: 1 } });
const profile = profileFor('qemu', sys.mem.pageSize);
using _server = serve(device, { sys, loop, offload, socketPath, profile, maxConnections: 1, onEvent: console.log });
loop.run();
