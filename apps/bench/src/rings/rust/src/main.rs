//! The Rust virtio-queue crate over a ring that never runs dry: `rings-rust split WORK BATCH SECONDS` prints chains, seconds,
//! calls. It is used as virtiofsd and vhost-device use it: the chains of a batch are collected, each gets a Reader and a
//! Writer over its buffers. Laid out as in `rings.c` and `ours.ts`.
use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const GPA: u64 = 0x1_4000_0000;
const RAM: usize = 0x80_0000;
const SIZE: u16 = 1024;
const LENS: [u32; 4] = [40, 64, 16, 4096];
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

fn put_desc(mem: &GuestMemoryMmap, at: u64, addr: u64, len: u32, flags: u16, next: u16) {
    mem.write_obj(addr, GuestAddress(at)).unwrap();
    mem.write_obj(len, GuestAddress(at + 8)).unwrap();
    mem.write_obj(flags, GuestAddress(at + 12)).unwrap();
    mem.write_obj(next, GuestAddress(at + 14)).unwrap();
}

/// CPU time of this thread, seconds.
fn now() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that the call fills.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (format, work) = (args[1].as_str(), args[2].as_str());
    let batch: u16 = args[3].parse().unwrap();
    let seconds: f64 = args[4].parse().unwrap();
    assert_eq!(format, "split", "the crate has no packed rings");
    let mem = &GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(GPA), RAM)]).unwrap();
    let (desc, avail) = (GPA, GPA + 16 * SIZE as u64);
    let used = avail + 6 + 2 * SIZE as u64 + 2;
    let tables = GPA + 0x1_0000;
    let data = tables + SIZE as u64 * 64;
    for head in 0..SIZE {
        let table = tables + head as u64 * 64;
        for (i, len) in LENS.iter().enumerate() {
            let flags = if i < 3 { NEXT } else { 0 } | if i < 2 { 0 } else { WRITE };
            let next = if i < 3 { i as u16 + 1 } else { 0 };
            put_desc(mem, table + i as u64 * 16, data + (head as u64 * 4 + i as u64) * 64, *len, flags, next);
        }
        put_desc(mem, desc + head as u64 * 16, table, 64, INDIRECT, 0);
        mem.write_obj(head, GuestAddress(avail + 4 + 2 * head as u64)).unwrap();
    }
    let mut queue = Queue::new(SIZE).unwrap();
    queue.set_size(SIZE);
    queue.set_desc_table_address(Some(desc as u32), Some((desc >> 32) as u32));
    queue.set_avail_ring_address(Some(avail as u32), Some((avail >> 32) as u32));
    queue.set_used_ring_address(Some(used as u32), Some((used >> 32) as u32));
    queue.set_event_idx(true);
    queue.set_ready(true);
    assert!(queue.is_valid(mem));
    let headers = work == "headers";
    let mut request = [0u8; 40];
    let answer = [0u8; 16];
    let (mut avail_idx, mut chains, mut calls) = (0u16, 0u64, 0u64);
    let start = now();
    loop {
        for _ in 0..256 {
            avail_idx = avail_idx.wrapping_add(batch);
            mem.store(avail_idx, GuestAddress(avail + 2), Ordering::Release).unwrap();
            loop {
                queue.disable_notification(mem).unwrap();
                let ready: Vec<DescriptorChain<&GuestMemoryMmap>> = queue.iter(mem).unwrap().collect();
                for chain in ready {
                    let head = chain.head_index();
                    if work == "iterate" {
                        let bytes: u64 = chain.map(|one| one.len() as u64).sum();
                        assert_eq!(bytes, 4216);
                    } else {
                        let mut reader = chain.clone().reader(mem).unwrap();
                        let mut writer = chain.writer(mem).unwrap();
                        assert!(reader.available_bytes() == 104 && writer.available_bytes() == 4112);
                        if headers {
                            reader.read_exact(&mut request).unwrap();
                            writer.write_all(&answer).unwrap();
                        }
                    }
                    queue.add_used(mem, head, 16).unwrap();
                    chains += 1;
                }
                if queue.needs_notification(mem).unwrap() {
                    calls += 1;
                }
                if !queue.enable_notification(mem).unwrap() {
                    break;
                }
            }
        }
        let passed = now() - start;
        if passed >= seconds {
            println!("{chains} {passed} {calls}");
            return;
        }
    }
}
