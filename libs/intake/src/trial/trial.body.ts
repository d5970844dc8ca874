import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsNotEmpty, IsObject, IsString, ValidateIf } from 'class-validator';

/** Unlike `IsOptional`, which also lets null through. */
const IfGiven = () => ValidateIf((_, value) => value !== undefined);

export class TrialRequest {
  @ApiProperty({ type: Object, example: { 'x-github-event': 'push', 'content-type': 'application/json' } })
  @IsObject()
  headers!: Record<string, unknown>;

  @ApiPropertyOptional({
    oneOf: [{ type: 'string' }, { type: 'object' }],
    description:
      'The body as text, byte for byte; an object is serialized as JSON, which does not match a signature over other bytes. Leave it out for a request without one, such as GET.',
  })
  @ValidateIf(({ method = 'POST' }: TrialRequest) => method === 'POST')
  @IsNotEmpty()
  body?: unknown;

  @ApiPropertyOptional({ type: Object })
  @IfGiven()
  @IsObject()
  query?: Record<string, unknown>;

  @ApiPropertyOptional({ description: 'Default POST.' })
  @IfGiven()
  @IsString()
  method?: string;

  @ApiPropertyOptional({
    description: 'The address that the sender called: some senders sign it. The host is ignored.',
  })
  @IfGiven()
  @IsString()
  url?: string;

  @ApiPropertyOptional({ description: 'Checked against allowedSources, if given.' })
  @IfGiven()
  @IsString()
  sourceIp?: string;
}

export class TrialAnswer {
  @ApiPropertyOptional({
    description: 'Which part does not match: header, signature, timestamp, bodyHash, claims, field or handshake.',
  })
  failed?: string;
  @ApiPropertyOptional({ description: 'What the integration expects.' })
  wants?: string;
  @ApiPropertyOptional({ type: Object, description: 'The received headers with the length of each, never a value.' })
  found?: Readonly<Record<string, number>>;
  @ApiPropertyOptional({ type: [String], description: 'Changes that would make it match, each tried alone.' })
  hints?: readonly string[];
  @ApiPropertyOptional({ type: String, nullable: true, description: "The sender's own name of the event." })
  eventType?: string | null;
  @ApiProperty({ description: 'Whether the request would be stored.' })
  accepted!: boolean;
  @ApiProperty({ description: 'The status of the answer.' })
  status!: number;
  @ApiPropertyOptional({ description: 'Code of the refusal.' })
  code?: string;
  @ApiPropertyOptional()
  detail?: string;
  @ApiPropertyOptional({ description: 'How it was authenticated.' })
  authentication?: string;
  @ApiPropertyOptional({ type: String, nullable: true, description: 'null: every request is new.' })
  deliveryId?: string | null;
  @ApiPropertyOptional({ description: 'Whether this delivery was already recorded.' })
  duplicate?: boolean;
  @ApiPropertyOptional({ type: [Object], description: 'The events it would become.' })
  events?: unknown[];
}
