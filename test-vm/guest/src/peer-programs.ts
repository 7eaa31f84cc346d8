/**
 * Back-ends of Debian that are no part of QEMU: passt (a network back-end with a vhost-user implementation of its own) and
 * DPDK's (librte_vhost, under testpmd: the one back-end in Debian with packed rings). They run on the host, from a tree of
 * 10 MB made when a suite first asks for it; what they share with QEMU comes from the guest's tree.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GuestEnvironment } from './environment.ts';
import { HostProcess } from './process.ts';
import { type SideTree, sideTree } from './side-tree.ts';

/** Bumped when the steps change although the packages do not. */
const STEPS = 1;

/** testpmd is linked with most of DPDK's drivers, of which it needs one here. */
const PACKAGES = [
  ...['base-files', 'passt', 'dpdk-dev', 'ibverbs-providers', 'libpcap0.8t64'],
  ...['bitratestats', 'bpf', 'bus-auxiliary', 'bus-dpaa', 'bus-pci', 'bus-vdev', 'cmdline', 'common-dpaax'].map(rte),
  ...['common-iavf', 'common-mlx5-', 'crypto-scheduler', 'cryptodev', 'dmadev', 'eal', 'ethdev', 'eventdev'].map(rte),
  ...['gro', 'gso', 'hash', 'ip-frag', 'kvargs', 'latencystats', 'log', 'mbuf', 'mempool-dpaa'].map(rte),
  ...['mempool-ring', 'mempool', 'meter', 'metrics', 'net-bnxt', 'net-bond', 'net-dpaa', 'net-i40e'].map(rte),
  ...['net-iavf', 'net-ice', 'net-ixgbe', 'net-mlx5-', 'net-vhost', 'net', 'pcapng', 'pci', 'pdump', 'rcu'].map(rte),
  ...['reorder', 'ring', 'sched', 'security', 'telemetry', 'timer', 'vhost'].map(rte),
];

function rte(name: string): string {
  return `librte-${name}25`;
}

/** Makes the tree of these programs, or finds it in the cache. @throws GuestError as `sideTree` */
export function peerTree(): Promise<SideTree> {
  return sideTree({ name: 'peers', steps: STEPS, packages: PACKAGES });
}

/** The dynamic loader of the guest's tree, looking in both trees. */
function loader(environment: GuestEnvironment, root: string): string[] {
  const lib = 'usr/lib/x86_64-linux-gnu';
  const own = join(environment.root, lib);
  return [
    join(own, 'ld-linux-x86-64.so.2'),
    ...['--library-path', [join(root, lib), join(root, lib, 'dpdk/pmds-25.0'), own].join(':')],
  ];
}

/** Starts passt on a socket; it answers for every address but the guest's. @throws GuestError with its words */
export async function startPasst(environment: GuestEnvironment, socketPath: string): Promise<HostProcess> {
  const { root } = await peerTree();
  // The plain program: `passt` itself looks for a variant for this processor beside /proc/self/exe, the loader here.
  const program = join(root, 'usr/bin/passt');
  const network = ['--ipv4-only', '--address=192.0.2.2', '--netmask=24', '--gateway=192.0.2.1'];
  const args = ['--vhost-user', '--foreground', '--one-off', `--socket=${socketPath}`, ...network];
  const user = process.getuid?.() === 0 ? ['--runas=0'] : [];
  const command = [...loader(environment, root), '--argv0', 'passt', program, ...args, ...user];
  return HostProcess.startUntil(/You can start qemu/, command, { name: 'passt' });
}

/** Starts testpmd with one vhost-user port, where it sends back what it receives. @throws GuestError with its words */
export async function startTestpmd(environment: GuestEnvironment, socketPath: string): Promise<HostProcess> {
  const { root } = await peerTree();
  const cpus = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
  // Drivers are loaded here, not by `-d`: DPDK takes none from below a folder that everybody may write to.
  const drivers = ['mempool_ring', 'bus_vdev', 'net_vhost'].map((name) => `librte_${name}.so.25`);
  const memory = ['--no-huge', '--no-shconf', '-m', '128', '--no-pci', '--no-telemetry'];
  const threads = ['--lcores', `0@(${cpus}),1@(${cpus})`];
  const port = ['--vdev', `net_vhost0,iface=${socketPath},queues=1`];
  // It ends with its stdin unless it prints statistics; what comes before it forwards stays in the ring.
  const forwarding = ['--forward-mode=io', '--no-flush-rx', '--total-num-mbufs=2048', '--stats-period=3600'];
  const preload = ['--preload', drivers.join(' '), '--argv0', 'dpdk-testpmd', join(root, 'usr/bin/dpdk-testpmd')];
  const command = [...loader(environment, root), ...preload, ...memory, ...threads, ...port, '--', ...forwarding];
  const env = { RUNTIME_DIRECTORY: dirname(socketPath) };
  return HostProcess.startUntil(/io packet forwarding/, command, { name: 'dpdk-testpmd', env });
}
