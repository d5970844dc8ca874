import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsInt, IsObject, IsString, Length, Max, Min, ValidateIf } from 'class-validator';

import { AUTHS, RUNTIMES } from './agent-settings.js';
import type { AgentSettings } from './agent.js';
import type { ExecutionStatus, ExecutionTrigger } from './agent.view.js';

const IfGiven = () => ValidateIf((_, value) => value !== undefined);

export class AgentChanges {
  @ApiPropertyOptional({ example: 'triage' })
  @IfGiven()
  @IsString()
  @Length(1, 100)
  name?: string;

  @ApiPropertyOptional({ enum: RUNTIMES, description: 'Who does it.' })
  @IfGiven()
  @IsIn(RUNTIMES, { message: `runtime must be one of ${RUNTIMES.join(', ')}` })
  runtime?: AgentSettings['runtime'];

  @ApiPropertyOptional({
    type: Object,
    example: { url: 'https://agents.example.com/triage' },
    description:
      'By runtime: http { url }, openai { baseUrl, model, prompt? }, workflow { workflow }, command { command, args? }.',
  })
  @IfGiven()
  @IsObject()
  config?: Record<string, unknown>;

  @ApiPropertyOptional({ default: false, description: 'Whether it can be asked at /agents/{id}/webhook.' })
  @IfGiven()
  @IsBoolean()
  webhookEnabled?: boolean;

  @ApiPropertyOptional({
    enum: AUTHS,
    default: 'none',
    description: 'Of its webhook: by its unguessable URL alone, by a bearer token, or by X-Webhook-Signature.',
  })
  @IfGiven()
  @IsIn(AUTHS, { message: `auth must be one of ${AUTHS.join(', ')}` })
  auth?: AgentSettings['auth'];

  @ApiPropertyOptional({ description: 'For bearer and hmac; made up and shown once where none is given.' })
  @IfGiven()
  @IsString()
  @Length(8, 1024)
  secret?: string;

  @ApiPropertyOptional({
    default: 100,
    description: 'Webhooks a minute, in each process; beyond, 429 with Retry-After.',
  })
  @IfGiven()
  @IsInt()
  @Min(1)
  @Max(100_000)
  rateLimit?: number;

  @ApiPropertyOptional({ default: 10, description: 'Executions that run at the same time; others wait as pending.' })
  @IfGiven()
  @IsInt()
  @Min(1)
  @Max(1_000)
  maxConcurrent?: number;
}

export class NewAgent extends AgentChanges {
  @ApiProperty({ example: 'triage' })
  @IsString()
  @Length(1, 100)
  override name!: string;

  @ApiProperty({ enum: RUNTIMES })
  @IsIn(RUNTIMES, { message: `runtime must be one of ${RUNTIMES.join(', ')}` })
  override runtime!: AgentSettings['runtime'];
}

export class AgentAnswer {
  @ApiProperty({ example: 'agt_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty()
  name!: string;
  @ApiProperty({ enum: RUNTIMES })
  runtime!: string;
  @ApiProperty({ type: Object })
  config!: object;
  @ApiProperty()
  webhookEnabled!: boolean;
  @ApiProperty({ type: String, nullable: true, description: 'While its webhook is enabled.' })
  webhookUrl!: string | null;
  @ApiProperty({ enum: AUTHS })
  auth!: string;
  @ApiProperty()
  hasSecret!: boolean;
  @ApiProperty()
  rateLimit!: number;
  @ApiProperty()
  maxConcurrent!: number;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ format: 'date-time' })
  updatedAt!: string;
  @ApiPropertyOptional({ description: 'Shown once.' })
  secret?: string;
}

export class ExecutionAnswer {
  @ApiProperty({ example: 'exec_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty({ type: String, nullable: true })
  agentId!: string | null;
  @ApiProperty({ description: 'As it was named by whoever asked.' })
  agent!: string;
  @ApiProperty({ enum: ['webhook', 'rule', 'workflow', 'manual', 'schedule'] })
  trigger!: ExecutionTrigger;
  @ApiProperty({ enum: ['pending', 'running', 'completed', 'failed', 'cancelled', 'timeout'] })
  status!: ExecutionStatus;
  @ApiProperty({ description: 'Event that led to it; its payload is the input of a webhook.' })
  eventId!: string;
  @ApiProperty({ type: String, nullable: true, description: 'Rule or run that asked for it.' })
  requestedBy!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  finishedAt!: string | null;
}
