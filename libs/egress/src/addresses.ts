import ipaddr from 'ipaddr.js';

import { BoundedMap } from '#libs/kernel/src/bounded-map.js';

/** What the operator allows beyond HTTPS to public addresses. */
export interface OutboundPolicy {
  readonly allowHttpTargets: boolean;
  /** CIDRs that may be reached although they are not public. */
  readonly allowPrivateTargets: readonly string[];
}

/** The policy with its CIDRs parsed. Throws if one is not a CIDR: configuration has checked them before. */
export interface CompiledPolicy {
  /** What was found out about an address already: the same few are called again and again. */
  readonly known: Map<string, string | undefined>;
  readonly allowHttp: boolean;
  readonly allowed: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[];
}

export const compilePolicy = (policy: OutboundPolicy): CompiledPolicy => ({
  known: new BoundedMap(MAX_KNOWN),
  allowHttp: policy.allowHttpTargets,
  allowed: policy.allowPrivateTargets.map((cidr) => ipaddr.parseCIDR(cidr.trim())),
});

/** A URL that may be called if its name resolves to addresses that may be. */
export interface Target {
  readonly url: URL;
  /** Without brackets. */
  readonly host: string;
  /** Whether `host` is an address already, checked. */
  readonly literal: boolean;
}

export type TargetOrRefusal =
  { readonly kind: 'target'; readonly target: Target } | { readonly kind: 'refused'; readonly reason: string };

const MAX_KNOWN = 10_000;
const MAX_URL_LENGTH = 4096;
/** The addresses that `localhost` stands for everywhere (RFC 6761), so that saving can refuse it without a look-up. */
const LOOPBACKS = ['127.0.0.1', '::1'];

/**
 * What can be said of a URL without resolving its name. The WHATWG parser has already turned decimal, octal,
 * hexadecimal, shortened, percent-encoded and full-width spellings of an IPv4 address into four plain numbers and has
 * refused IPv6 zone ids, so that there is one spelling left to look at.
 */
export function parseTarget(text: string, policy: CompiledPolicy): TargetOrRefusal {
  const refused = (reason: string): TargetOrRefusal => ({ kind: 'refused', reason });
  if (text.length > MAX_URL_LENGTH) return refused(`The URL must have at most ${MAX_URL_LENGTH} characters.`);
  if (!URL.canParse(text)) return refused('The URL must be absolute, such as https://example.com/hook.');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return refused(`The URL must use https, not ${url.protocol.slice(0, -1)}.`);
  if (url.protocol === 'http:' && !policy.allowHttp)
    return refused('The URL must use https. To allow http, start Millrace with MILLRACE_ALLOW_HTTP_TARGETS=true.');
  if (url.username !== '' || url.password !== '')
    return refused('The URL must not contain credentials. Send them in a header.');
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  if (host === '') return refused('The URL must have a host.');
  const literal = ipaddr.isValid(host);
  const known = literal ? [host] : isLoopbackName(host) ? LOOPBACKS : [];
  const reasons = known.map((address) => addressRefusal(address, policy));
  if (known.length > 0 && reasons.every((reason) => reason !== undefined)) return refused(reasons[0]!);
  return { kind: 'target', target: { url, host, literal } };
}

/** `localhost`, with or without a trailing dot, and every name below it. */
export const isLoopbackName = (host: string): boolean => /(^|\.)localhost\.?$/i.test(host);

/** Why no connection is made to an address; `undefined` if one may be. */
export function addressRefusal(address: string, policy: CompiledPolicy): string | undefined {
  if (!policy.known.has(address)) policy.known.set(address, refusalOf(address, policy));
  return policy.known.get(address);
}

function refusalOf(address: string, policy: CompiledPolicy): string | undefined {
  if (!ipaddr.isValid(address)) return `"${address}" is not an address.`;
  const parsed = ipaddr.parse(address);
  const carried = carriedIpv4(parsed);
  if (METADATA.has((carried ?? parsed).toString()) || METADATA.has(tunnelled(parsed) ?? ''))
    return `${parsed.toString()} is the metadata address of a cloud, which gives out credentials: it is never called.`;
  const shown = [parsed, ...(carried ? [carried] : [])];
  if (shown.some((one) => policy.allowed.some((cidr) => one.kind() === cidr[0].kind() && one.match([...cidr]))))
    return undefined;
  const range = rangeOf(carried ?? parsed);
  if (range === 'public') return undefined;
  const cidr = carried ? `${carried.toString()}/32` : `${parsed.toString()}/${parsed.kind() === 'ipv4' ? 32 : 128}`;
  return (
    `${parsed.toString()} is not a public address (${range}): use a public one, or start Millrace with ` +
    `MILLRACE_ALLOW_PRIVATE_TARGETS including ${cidr}.`
  );
}

/** Of clouds (AWS, Azure and those like them). No setting opens them. */
const METADATA = new Set(
  [
    ...['169.254.169.254', '169.254.170.2', '169.254.170.23', '168.63.129.16', '100.100.100.200', '192.0.0.192'],
    ...['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254'],
  ].map((address) => ipaddr.parse(address).toString()),
);

/** The IPv4 address in a 6to4 address, or in one that ends in it (`::a.b.c.d`). */
function tunnelled(address: ipaddr.IPv4 | ipaddr.IPv6): string | undefined {
  if (!(address instanceof ipaddr.IPv6)) return undefined;
  const bytes = address.toByteArray();
  if (address.range() === '6to4') return new ipaddr.IPv4(bytes.slice(2, 6)).toString();
  return bytes.slice(0, 12).every((byte) => byte === 0) ? new ipaddr.IPv4(bytes.slice(12)).toString() : undefined;
}

const NAT64 = ipaddr.parseCIDR('64:ff9b::/96');
/** The part of IPv6 that is handed out as global unicast. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');

/** The IPv4 address that really answers behind an IPv4-mapped or NAT64 address. */
function carriedIpv4(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | undefined {
  if (!(address instanceof ipaddr.IPv6)) return undefined;
  const bytes = address.toByteArray();
  const last = () => new ipaddr.IPv4(bytes.slice(12));
  if (address.isIPv4MappedAddress()) return last();
  // Networks with IPv6 alone reach the whole IPv4 internet through this prefix (DNS64).
  return address.match(NAT64) ? last() : undefined;
}

/** `public`, or the name of the special range. 6to4, Teredo and other tunnels count as special: nobody serves there. */
function rangeOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  const range = address.range();
  if (range !== 'unicast') return range;
  return address.kind() === 'ipv4' || address.match(GLOBAL_UNICAST) ? 'public' : 'not global unicast';
}
