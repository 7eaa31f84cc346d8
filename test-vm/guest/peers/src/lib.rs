//! What the programs share: guest memory, and the driver's end of a split ring with one chain in it.

use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd};

use vhost::{VhostUserMemoryRegionInfo, VringConfigData};
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemory, GuestMemoryMmap};

const RAM_GPA: u64 = 0x4000_0000;
const RAM_BYTES: usize = 1 << 20;
/// Each ring has a part of memory of its own: descriptors, driver's area, device's area, buffers.
const RING_BYTES: u64 = 0x1_0000;
const AVAIL: u64 = 0x1000;
const USED: u64 = 0x2000;
const BUFFERS: u64 = 0x3000;
const DESC_F_NEXT: u16 = 1;
const DESC_F_WRITE: u16 = 2;

/// Guest memory of 1 MiB in a memfd that cannot shrink.
pub struct Ram {
    memory: GuestMemoryMmap,
}

impl Ram {
    pub fn new() -> Result<Self> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a C string, and the result is checked before it is owned.
        let fd = unsafe { libc::memfd_create(c"peer-ram".as_ptr(), flags) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: nobody else owns this descriptor.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(RAM_BYTES as u64)?;
        // SAFETY: fcntl takes an integer here.
        if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) } < 0 {
            return Err(Error::last_os_error());
        }
        let range = (GuestAddress(RAM_GPA), RAM_BYTES, Some(FileOffset::new(file, 0)));
        let memory = GuestMemoryMmap::from_ranges_with_files([range]).map_err(Error::other)?;
        Ok(Ram { memory })
    }

    /// The region, as the memory table has it.
    pub fn region(&self) -> VhostUserMemoryRegionInfo {
        let region = self.memory.iter().next().expect("there is one region");
        VhostUserMemoryRegionInfo::from_guest_region(region).expect("it has a file")
    }

    /// The file of the region; lent.
    pub fn fd(&self) -> i32 {
        self.memory
            .iter()
            .next()
            .and_then(|region| region.file_offset().map(|at| at.file().as_raw_fd()))
            .expect("a file")
    }

    /// The addresses of a ring, as SET_VRING_ADDR has them.
    pub fn ring(&self, index: usize, size: u16) -> VringConfigData {
        let user = self.region().userspace_addr + index as u64 * RING_BYTES;
        VringConfigData {
            queue_max_size: size,
            queue_size: size,
            flags: 0,
            desc_table_addr: user,
            used_ring_addr: user + USED,
            avail_ring_addr: user + AVAIL,
            log_addr: None,
        }
    }

    /// Publishes one chain in an unused ring: these readable buffers, then writable ones.
    pub fn publish(&self, index: usize, readable: &[Vec<u8>], writable: &[u32]) {
        let base = GuestAddress(RAM_GPA + index as u64 * RING_BYTES);
        let count = readable.len() + writable.len();
        let mut at = BUFFERS;
        for n in 0..count {
            let (len, write) = match readable.get(n) {
                Some(bytes) => {
                    self.memory
                        .write_slice(bytes, GuestAddress(base.0 + at))
                        .expect("a buffer in memory");
                    (bytes.len() as u32, 0)
                }
                None => (writable[n - readable.len()], DESC_F_WRITE),
            };
            let next = if n + 1 < count { DESC_F_NEXT } else { 0 };
            let desc = GuestAddress(base.0 + 16 * n as u64);
            self.memory.write_obj(base.0 + at, desc).expect("a descriptor");
            self.memory
                .write_obj(len, GuestAddress(desc.0 + 8))
                .expect("a descriptor");
            self.memory
                .write_obj(next | write, GuestAddress(desc.0 + 12))
                .expect("a descriptor");
            self.memory
                .write_obj(n as u16 + 1, GuestAddress(desc.0 + 14))
                .expect("a descriptor");
            at += u64::from(len).next_multiple_of(64);
        }
        // Entry 0 names head 0, as it stands.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        self.memory
            .write_obj(1u16, GuestAddress(base.0 + AVAIL + 2))
            .expect("the index");
    }

    /// The chain of a ring, once it was used: the bytes that the device says it wrote, from the writable buffers in a row.
    pub fn used(&self, index: usize, readable: &[Vec<u8>], writable: &[u32]) -> Option<Vec<u8>> {
        let base = RAM_GPA + index as u64 * RING_BYTES;
        let done: u16 = self.memory.read_obj(GuestAddress(base + USED + 2)).expect("the index");
        if done == 0 {
            return None;
        }
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let len: u32 = self.memory.read_obj(GuestAddress(base + USED + 8)).expect("an element");
        let mut at = BUFFERS
            + readable
                .iter()
                .map(|bytes| (bytes.len() as u64).next_multiple_of(64))
                .sum::<u64>();
        let mut bytes = Vec::new();
        for &room in writable {
            let part = room.min(len - bytes.len() as u32) as usize;
            let mut piece = vec![0; part];
            self.memory
                .read_slice(&mut piece, GuestAddress(base + at))
                .expect("a buffer in memory");
            bytes.extend(piece);
            at += u64::from(room).next_multiple_of(64);
        }
        Some(bytes)
    }
}
