/*
 * A virtio-pci driver in user space, for devices that the guest's kernel has no driver for. It takes a device from the
 * kernel, runs queue 0 as a split ring and looks at the used ring; no interrupts.
 *
 *     custom-driver ID STEP...     ID: the virtio device id; one line of hexadecimal for each step
 *       c:LEN                      the first bytes of the configuration space
 *       q:HEX:LEN                  a chain of the bytes HEX (may be none) and LEN writable ones; prints "USED HEX"
 *       m:SHMID:OFFSET:LEN         bytes of a shared memory region
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define RING 4
#define DEVICES "/sys/bus/pci/devices"

static char device[300];
static uint8_t config[256];

/* What a capability names: bytes of a BAR. */
struct area {
    volatile uint8_t *at;
    uint64_t length;
};

static int open_file(const char *name, int flags)
{
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", device, name);
    int fd = open(path, flags);
    if (fd < 0)
        err(1, "%s", path);
    return fd;
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        err(1, "%s", path);
    close(fd);
}

static void find_device(int id)
{
    DIR *dir = opendir(DEVICES);
    if (dir == NULL)
        err(1, DEVICES);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(device, sizeof(device), DEVICES "/%s", entry->d_name);
        int fd = open_file("config", O_RDWR);
        uint16_t ids[2];
        if (pread(fd, ids, 4, 0) == 4 && ids[0] == 0x1af4 && ids[1] == 0x1040 + id) {
            char path[400];
            snprintf(path, sizeof(path), "%s/driver", device);
            if (access(path, F_OK) == 0)
                put("/sys/bus/pci/drivers/virtio-pci/unbind", entry->d_name);
            snprintf(path, sizeof(path), "%s/enable", device);
            put(path, "1");
            /* Memory and bus master: the kernel takes the latter away with its driver. */
            uint16_t command = 6;
            if (pwrite(fd, &command, 2, 4) != 2 || pread(fd, config, sizeof(config), 0) != sizeof(config))
                err(1, "config of %s", device);
            close(fd);
            closedir(dir);
            return;
        }
        close(fd);
    }
    errx(1, "no device %d", id);
}

/* The capability of a type, and of an id where it is a shared memory region. */
static struct virtio_pci_cap64 *find_capability(int type, int id)
{
    for (int at = config[0x34]; at != 0; at = config[at + 1]) {
        struct virtio_pci_cap64 *cap = (struct virtio_pci_cap64 *)(config + at);
        if (cap->cap.cap_vndr == 9 && cap->cap.cfg_type == type && (id < 0 || cap->cap.id == id))
            return cap;
    }
    errx(1, "no capability %d of id %d", type, id);
}

static struct area map_area(int type, int id)
{
    struct virtio_pci_cap64 *cap = find_capability(type, id);
    uint64_t offset = cap->cap.offset, length = cap->cap.length;
    if (type == VIRTIO_PCI_CAP_SHARED_MEMORY_CFG) {
        offset |= (uint64_t)cap->offset_hi << 32;
        length |= (uint64_t)cap->length_hi << 32;
    }
    char name[20];
    snprintf(name, sizeof(name), "resource%d", cap->cap.bar);
    int fd = open_file(name, O_RDWR);
    uint64_t start = offset & ~(uint64_t)(PAGE - 1);
    uint8_t *at = mmap(NULL, offset - start + length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start);
    if (at == MAP_FAILED)
        err(1, "%s", name);
    close(fd);
    return (struct area){at + (offset - start), length};
}

/* A page of memory and where the device finds it. */
static uint64_t physical(void *page)
{
    uint64_t entry;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)page / PAGE * 8) != 8 || !(entry >> 63))
        err(1, "pagemap");
    close(fd);
    return (entry & ((1ull << 55) - 1)) * PAGE;
}

static uint8_t *page(uint64_t *address)
{
    uint8_t *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    if (at == MAP_FAILED)
        err(1, "mmap");
    memset(at, 0, PAGE);
    *address = physical(at);
    return at;
}

static volatile struct virtio_pci_common_cfg *common;
static volatile uint16_t *doorbell;
static struct vring ring;
static uint8_t *buffer;
static uint64_t buffer_address;
static uint16_t taken;

static void start(void)
{
    common = (void *)map_area(VIRTIO_PCI_CAP_COMMON_CFG, -1).at;
    common->device_status = 0;
    while (common->device_status != 0)
        ;
    common->device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    common->guest_feature_select = 0;
    common->guest_feature = 0;
    common->guest_feature_select = 1;
    common->guest_feature = 1u << (VIRTIO_F_VERSION_1 - 32);
    common->device_status |= VIRTIO_CONFIG_S_FEATURES_OK;
    if (!(common->device_status & VIRTIO_CONFIG_S_FEATURES_OK))
        errx(1, "VERSION_1 alone is refused");
    uint64_t address;
    uint8_t *memory = page(&address);
    buffer = page(&buffer_address);
    vring_init(&ring, RING, memory, 256);
    common->queue_select = 0;
    common->queue_size = RING;
    common->queue_desc_lo = address;
    common->queue_desc_hi = address >> 32;
    uint64_t avail = address + ((uint8_t *)ring.avail - memory), used = address + ((uint8_t *)ring.used - memory);
    common->queue_avail_lo = avail;
    common->queue_avail_hi = avail >> 32;
    common->queue_used_lo = used;
    common->queue_used_hi = used >> 32;
    struct virtio_pci_notify_cap *notify = (void *)find_capability(VIRTIO_PCI_CAP_NOTIFY_CFG, -1);
    uint32_t at = common->queue_notify_off * notify->notify_off_multiplier;
    doorbell = (void *)(map_area(VIRTIO_PCI_CAP_NOTIFY_CFG, -1).at + at);
    common->queue_enable = 1;
    common->device_status |= VIRTIO_CONFIG_S_DRIVER_OK;
}

static void print_hex(const volatile uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len; at++)
        printf("%02x", bytes[at]);
    printf("\n");
}

static void request(const char *hex, unsigned writable)
{
    unsigned readable = 0;
    for (; hex[0] != ':'; hex += 2)
        if (readable == PAGE / 2 || sscanf(hex, "%2hhx", &buffer[readable++]) != 1)
            errx(1, "bad bytes");
    if (writable > PAGE / 2)
        errx(1, "%u is too long", writable);
    uint8_t *answer = buffer + PAGE / 2;
    memset(answer, 0xee, PAGE / 2);
    int n = 0;
    if (readable > 0)
        ring.desc[n++] = (struct vring_desc){buffer_address, readable, VRING_DESC_F_NEXT, 1};
    ring.desc[n] = (struct vring_desc){buffer_address + PAGE / 2, writable, VRING_DESC_F_WRITE, 0};
    ring.avail->ring[ring.avail->idx % RING] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ring.avail->idx++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *doorbell = 0;
    for (int turn = 0; __atomic_load_n(&ring.used->idx, __ATOMIC_ACQUIRE) == taken; turn++) {
        if (turn == 10000)
            errx(1, "no answer");
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    printf("%u ", ring.used->ring[taken++ % RING].len);
    print_hex(answer, writable);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        errx(2, "usage: custom-driver ID STEP...");
    find_device(atoi(argv[1]));
    start();
    for (int n = 2; n < argc; n++) {
        unsigned id, offset, len;
        if (sscanf(argv[n], "c:%u", &len) == 1) {
            print_hex(map_area(VIRTIO_PCI_CAP_DEVICE_CFG, -1).at, len);
        } else if (sscanf(argv[n], "m:%u:%u:%u", &id, &offset, &len) == 3) {
            struct area region = map_area(VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, id);
            if (offset + (uint64_t)len > region.length)
                errx(1, "region %u has %llu bytes", id, (unsigned long long)region.length);
            print_hex(region.at + offset, len);
        } else if (argv[n][0] == 'q' && strrchr(argv[n], ':') > argv[n] + 1) {
            request(argv[n] + 2, atoi(strrchr(argv[n], ':') + 1));
        } else {
            errx(2, "no step: %s", argv[n]);
        }
    }
    common->device_status = 0;
    return 0;
}
