import ipaddr from 'ipaddr.js';

import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

/** A list of addresses and CIDR ranges, IPv4 and IPv6; an IPv4 address written as IPv6 counts as IPv4. */
export class AddressList {
  private readonly ranges: readonly Range[];

  /** @throws TypeError for what is neither; {@link isAddressOrRange} tells beforehand. */
  constructor(entries: readonly string[]) {
    this.ranges = entries.map((entry) => {
      const range = parseRange(entry);
      if (!range) throw new TypeError(`${entry} is neither an address nor a CIDR range`);
      return range;
    });
  }

  get isEmpty(): boolean {
    return this.ranges.length === 0;
  }

  /** False for what is no address. */
  has(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return this.ranges.some(
      ([base, bits]) => base.kind() === parsed.kind() && (parsed as ipaddr.IPv4).match(base, bits),
    );
  }
}

export const isAddressOrRange = (entry: string): boolean => parseRange(entry) !== undefined;

function parseRange(entry: string): Range | undefined {
  if (entry.includes('/')) {
    if (!ipaddr.isValidCIDR(entry)) return undefined;
    const [base, bits] = ipaddr.parseCIDR(entry);
    if (base.kind() === 'ipv6' && (base as ipaddr.IPv6).isIPv4MappedAddress() && bits >= 96)
      return [(base as ipaddr.IPv6).toIPv4Address(), bits - 96];
    return [base, bits];
  }
  // `1` and `0x7f000001` are addresses to this library; in a list for people they are mistakes.
  const isWritten = ipaddr.IPv4.isValidFourPartDecimal(entry) || ipaddr.IPv6.isValid(entry);
  if (!isWritten) return undefined;
  const address = ipaddr.process(entry);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

/**
 * Who sent a request. `X-Forwarded-For` is believed as far as those who wrote it are trusted: from the right, the first
 * address that is not a trusted proxy is the sender. Without trusted proxies it is the address of the connection.
 */
export class SenderAddress {
  private readonly trusted: AddressList;

  constructor(trustedProxies: readonly string[]) {
    this.trusted = new AddressList(trustedProxies);
  }

  of(connection: string | undefined, forwardedFor: string | undefined): string {
    const direct = withoutMapping(connection ?? '');
    if (this.trusted.isEmpty || forwardedFor === undefined || !this.trusted.has(direct)) return direct;
    const hops = forwardedFor.split(',');
    let sender = direct;
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = withoutPort(hops[i]!.trim());
      // What is not an address ends the chain: what stands left of it was written by nobody we know.
      if (!ipaddr.isValid(hop)) return sender;
      sender = withoutMapping(hop);
      if (!this.trusted.has(sender)) return sender;
    }
    return sender;
  }
}

/**
 * Whose address it is: of IPv6, one subscriber has at least a /64 and could take a new address for every request. Some
 * proxies write the port beside the address, and that is another one for every connection.
 */
export function networkOf(address = ''): string {
  const known = networks.get(address);
  if (known !== undefined) return known;
  const network = networkAround(address);
  networks.set(address, network);
  return network;
}

/** Asked for each request; those of one sender come from few addresses. */
const networks = new BoundedMap<string, string>(10_000);

function networkAround(address: string): string {
  const alone = withoutPort(address);
  if (!ipaddr.isValid(alone)) return alone;
  const parsed = ipaddr.process(alone);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  const parts = (parsed as ipaddr.IPv6).parts.slice(0, 4);
  return `${parts.map((part) => part.toString(16)).join(':')}::/64`;
}

const MAPPED = '::ffff:';

/** `::ffff:127.0.0.1`, which a dual-stack socket says, is `127.0.0.1`. */
const withoutMapping = (address: string): string =>
  address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;

/** Some proxies write `1.2.3.4:5678` and `[::1]:5678`. */
function withoutPort(hop: string): string {
  if (hop.startsWith('[')) return hop.slice(1, Math.max(1, hop.indexOf(']')));
  const colon = hop.indexOf(':');
  return colon >= 0 && colon === hop.lastIndexOf(':') ? hop.slice(0, colon) : hop;
}
