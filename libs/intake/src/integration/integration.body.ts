import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsInt,
  IsNotEmpty,
  IsObject,
  IsOptional,
  IsString,
  Length,
  Matches,
  Max,
  Min,
  ValidateIf,
} from 'class-validator';

const SECRET = { description: 'Shared with the sender; kept encrypted. Without it the slug alone authenticates.' };
const CUSTOM_PATH = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$/;
const PATH_RULE = 'customPath has up to 100 letters, digits, ".", "_", "~" or "-", and begins with a letter or digit';

/** Unlike `IsOptional`, which also lets null through. */
const IfGiven = () => ValidateIf((_, value) => value !== undefined);

export class NewIntegration {
  @ApiProperty({ example: 'acme/app' })
  @IsString()
  @Length(1, 100)
  name!: string;

  @ApiProperty({ example: 'github', description: 'Which code understands the sender.' })
  @IsString()
  @IsNotEmpty()
  provider!: string;

  @ApiPropertyOptional({ ...SECRET, minLength: 8, maxLength: 1024 })
  @IfGiven()
  @IsString()
  @Length(8, 1024)
  secret?: string;

  @ApiPropertyOptional({ example: 'acme', description: 'Also receive at /api/webhook/{customPath}.' })
  @IfGiven()
  @Matches(CUSTOM_PATH, { message: PATH_RULE })
  customPath?: string;

  @ApiPropertyOptional({ type: [String], example: ['140.82.112.0/20'], description: 'Default: everybody may send.' })
  @IfGiven()
  @IsArray()
  @ArrayUnique()
  @IsString({ each: true })
  allowedSources?: string[];

  @ApiPropertyOptional({
    oneOf: [
      { type: 'integer', description: 'requests per minute' },
      {
        type: 'object',
        properties: { limit: { type: 'integer' }, per: { type: 'string', example: '1m' } },
        required: ['limit'],
      },
    ],
    description: 'Requests in each process. Default: none.',
  })
  @IfGiven()
  rateLimit?: unknown;

  @ApiPropertyOptional({
    example: 'alert.id',
    description: 'JMESPath over the body, or over each line or element of it: the same value is recorded once.',
  })
  @IfGiven()
  @IsString()
  @Length(1, 4096)
  dedupeKey?: string;

  @ApiPropertyOptional({
    example: '1h',
    description: 'Longest silence that is nothing to worry about: beyond it integration.silent is recorded, once.',
  })
  @IfGiven()
  @IsString()
  @Length(2, 20)
  expectedEvery?: string;

  @ApiPropertyOptional({ type: Object, description: 'By provider; unknown keys are refused.' })
  @IfGiven()
  @IsObject()
  config?: Record<string, unknown>;
}

export class IntegrationChanges {
  @ApiPropertyOptional()
  @IfGiven()
  @IsString()
  @Length(1, 100)
  name?: string;

  @ApiPropertyOptional({ description: 'false: nothing is received until it is true again.' })
  @IfGiven()
  @IsBoolean()
  enabled?: boolean;

  @ApiPropertyOptional({ type: String, nullable: true, description: 'A new secret; null: the slug alone.' })
  @IsOptional()
  @IsString()
  @Length(8, 1024)
  secret?: string | null;

  @ApiPropertyOptional({
    default: 86_400,
    description: 'How long the secret before is still accepted; 0: not at all, nor any older one. With `secret` only.',
  })
  @IfGiven()
  @IsInt()
  @Min(0)
  @Max(2_592_000)
  graceSeconds?: number;

  @ApiPropertyOptional({ type: String, nullable: true })
  @IsOptional()
  @Matches(CUSTOM_PATH, { message: PATH_RULE })
  customPath?: string | null;

  @ApiPropertyOptional({ type: [String], nullable: true, description: 'null: everybody may send.' })
  @IsOptional()
  @IsArray()
  @ArrayUnique()
  @IsString({ each: true })
  allowedSources?: string[] | null;

  @ApiPropertyOptional({ type: Object, nullable: true, description: 'As in POST; null: no limit.' })
  @IsOptional()
  rateLimit?: unknown;

  @ApiPropertyOptional({ type: String, nullable: true })
  @IsOptional()
  @IsString()
  @Length(1, 4096)
  dedupeKey?: string | null;

  @ApiPropertyOptional({ type: String, nullable: true, description: 'As in POST; null: it may be silent for ever.' })
  @IsOptional()
  @IsString()
  @Length(2, 20)
  expectedEvery?: string | null;

  @ApiPropertyOptional({
    type: Object,
    description: 'The whole of it. A masked secret keeps its value, unless an address in it changes.',
  })
  @IfGiven()
  @IsObject()
  config?: Record<string, unknown>;
}

export class TrialRequest {
  @ApiProperty({ type: Object, example: { 'x-github-event': 'push', 'content-type': 'application/json' } })
  @IsObject()
  headers!: Record<string, unknown>;

  @ApiProperty({
    oneOf: [{ type: 'string' }, { type: 'object' }],
    description: 'The body as text, byte for byte; an object is written as JSON (which no signature survives).',
  })
  @IsNotEmpty()
  body!: unknown;

  @ApiPropertyOptional({ type: Object })
  @IfGiven()
  @IsObject()
  query?: Record<string, unknown>;

  @ApiPropertyOptional({ description: 'Held against allowedSources, if given.' })
  @IfGiven()
  @IsString()
  sourceIp?: string;
}

class IntegrationUrls {
  @ApiProperty({ description: 'By slug.' })
  inbound!: string;
  @ApiProperty({ description: 'By id.' })
  direct!: string;
  @ApiPropertyOptional({ description: 'By custom path.' })
  custom?: string;
  @ApiPropertyOptional({ description: 'For chats: to be entered at Slack or as the messaging endpoint of a bot.' })
  communicator?: string;
}

class RateLimitAnswer {
  @ApiProperty()
  limit!: number;
  @ApiProperty({ example: '1m' })
  per!: string;
}

class PreviousSecretAnswer {
  @ApiProperty({ format: 'date-time' })
  validUntil!: string;
}

class CountsAnswer {
  @ApiProperty({ description: 'Stored, each for the first time.' })
  received!: number;
  @ApiProperty({ description: 'Answered with the ids of the first time.' })
  duplicates!: number;
  @ApiProperty({ description: 'Announced by the sender as another try.' })
  retries!: number;
  @ApiProperty({ type: Object, example: { signature_mismatch: 2 }, description: 'By reason.' })
  refused!: Record<string, number>;
}

export class IntegrationAnswer {
  @ApiProperty({ example: 'int_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty()
  name!: string;
  @ApiProperty()
  provider!: string;
  @ApiProperty()
  enabled!: boolean;
  @ApiProperty()
  slug!: string;
  @ApiProperty({ description: 'The address to give to the sender: by slug.' })
  url!: string;
  @ApiProperty({ type: IntegrationUrls })
  urls!: IntegrationUrls;
  @ApiProperty({ description: 'Whether requests have to be signed.' })
  hasSecret!: boolean;
  @ApiProperty({ type: [PreviousSecretAnswer], description: 'Secrets from before that are still accepted.' })
  previousSecrets!: PreviousSecretAnswer[];
  @ApiProperty({ type: String, nullable: true })
  customPath!: string | null;
  @ApiProperty({ type: [String], nullable: true })
  allowedSources!: readonly string[] | null;
  @ApiProperty({ type: RateLimitAnswer, nullable: true })
  rateLimit!: RateLimitAnswer | null;
  @ApiProperty({ type: String, nullable: true })
  dedupeKey!: string | null;

  @ApiProperty({ type: String, nullable: true, example: '1h' })
  expectedEvery!: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'Since when it has been silent for longer than it expects.',
  })
  silentSince!: string | null;

  @ApiProperty({
    type: Object,
    nullable: true,
    description: 'What became of asking the sender for what it has delivered.',
  })
  lastReconciliation!: object | null;
  @ApiProperty({ type: Object, description: 'Secret values are masked.' })
  config!: Record<string, unknown>;
  @ApiProperty({ type: CountsAnswer })
  counts!: CountsAnswer;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  lastReceivedAt!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ format: 'date-time' })
  updatedAt!: string;
}

export class CreatedIntegration extends IntegrationAnswer {
  @ApiPropertyOptional({ description: 'Shown in this answer and never again.' })
  secret?: string;
}

export class IntegrationPage {
  @ApiProperty({ type: [IntegrationAnswer] })
  data!: readonly IntegrationAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}

export class TrialAnswer {
  @ApiProperty({ description: 'Whether the request would be stored.' })
  accepted!: boolean;
  @ApiProperty({ description: 'The status it would be answered with.' })
  status!: number;
  @ApiPropertyOptional({ description: 'Why it would be refused.' })
  code?: string;
  @ApiPropertyOptional()
  detail?: string;
  @ApiPropertyOptional({ description: 'How it was authenticated.' })
  authentication?: string;
  @ApiPropertyOptional({ type: String, nullable: true, description: 'null: every request is new.' })
  deliveryId?: string | null;
  @ApiPropertyOptional({ description: 'Whether this delivery has been recorded already.' })
  duplicate?: boolean;
  @ApiPropertyOptional({ type: [Object], description: 'The events it would become.' })
  events?: unknown[];
}
