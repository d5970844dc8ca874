import type { InboundRequest, Normalised, ProviderContext, Verdict } from '#libs/plugin-sdk/src/define-provider.js';
import { listOf, type Json } from '#libs/plugin-sdk/src/fields.js';
import type { Declaration } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { compileScheme, type KeyParts } from './proofs/compile-scheme.js';
import { masked } from './request/masked.js';
import type { Finding, Proof, SignedParts, Values } from './proofs/proof.js';
import { type Place, sourcesOf, timeOfText } from './request/sources.js';
import { look, RequestView } from './request/views.js';

/** A sender that is described rather than programmed: everything of a declaration, ready to be asked. */
export class DeclaredSender {
  readonly proof: Proof;
  private readonly views = new WeakMap<InboundRequest, RequestView>();
  private readonly eventType: ReturnType<typeof sourcesOf>;
  private readonly deliveryId: ReturnType<typeof sourcesOf>;
  private readonly occurredAt: ReturnType<typeof sourcesOf>;

  /** @throws TemplateFault, SourceFault, ExpressionError */
  constructor(
    readonly declaration: Declaration,
    parts: KeyParts,
  ) {
    const { verify, read = {} } = declaration;
    this.proof = compileScheme(verify, parts);
    this.eventType = sourcesOf(read.eventType);
    this.deliveryId = sourcesOf(read.deliveryId);
    this.occurredAt = sourcesOf(read.occurredAt);
  }

  /** One for each request: its body is read and hashed once, however many elements it has. */
  view(request: InboundRequest, { publicUrl = '' }: Pick<ProviderContext, 'publicUrl'>): RequestView {
    let view = this.views.get(request);
    if (!view) this.views.set(request, (view = new RequestView(request, this.declaration.json === true, publicUrl)));
    return view;
  }

  verify(request: InboundRequest, context: ProviderContext): Verdict | Promise<Verdict> {
    const finding = this.find(request, context);
    return finding instanceof Promise ? finding.then((one) => this.verdictOf(one)) : this.verdictOf(finding);
  }

  /** What the scheme finds; `verdict` is what of it the sender may know. */
  find(request: InboundRequest, context: ProviderContext): Finding | Promise<Finding> {
    const view = this.view(request, context);
    return this.proof.verify(view, this.valuesOf(view), context);
  }

  private verdictOf(finding: Finding): Verdict {
    if (finding.ok) return finding;
    const { reason, detail } = finding;
    const challenge = this.declaration.verify.kind === 'basic' ? 'Basic realm="webhooks", charset="UTF-8"' : undefined;
    return {
      ok: false,
      reason,
      wants: this.proof.wants,
      ...(detail !== undefined && { detail }),
      ...(challenge !== undefined && { challenge }),
    };
  }

  sign(
    request: InboundRequest,
    context: Pick<ProviderContext, 'publicUrl'>,
    signer: Parameters<Proof['sign']>[2],
  ): SignedParts | Promise<SignedParts> {
    const view = this.view(request, context);
    return this.proof.sign(view, this.valuesOf(view), signer);
  }

  /** The events in a body: its elements where they are declared, else the body itself. */
  elementsOf(value: Json): readonly Json[] {
    const each = this.declaration.read?.each;
    if (each === undefined) return [value];
    // What has no such list is kept as one event: it must not vanish.
    const elements = look(each, value);
    return Array.isArray(elements) ? listOf(elements) : [value];
  }

  get hasElements(): boolean {
    return this.declaration.read?.each !== undefined;
  }

  private valuesOf(view: RequestView): Values {
    return () => view.elements((value) => this.elementsOf(value));
  }

  /** What is said of one event. */
  read(
    view: RequestView,
    place: Place,
  ): Pick<Normalised, 'deliveryId'> & { readonly eventType: string | undefined; readonly timestamp?: number } {
    const timestamp = timeOfText(this.occurredAt(view, place));
    return {
      eventType: this.eventType(view, place),
      deliveryId: this.deliveryId(view, place),
      ...(timestamp !== undefined && { timestamp }),
    };
  }

  /** The payload as it may be stored: what proves a request must not be. `undefined` where it may be stored as it is. */
  maskedPayload(view: RequestView, { value, index }: Place): Json | undefined {
    const { verify } = this.declaration;
    if (verify.kind !== 'field') return undefined;
    return masked(this.valuesOf(view)()[index ?? 0] ?? value, verify.field);
  }

  /** What the sender says of another try; `undefined` for the first. */
  retryOf(view: RequestView): string | undefined {
    const { retries } = this.declaration;
    const given = retries && view.header(retries.header);
    return given !== undefined && Number(given) > retries!.beyond ? given : undefined;
  }
}
