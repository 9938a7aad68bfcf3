// The AWS SDK for JavaScript, version 3: its credential providers, waiters, checksums and presigned URLs.
// With an argument, CreateModel alone is tried, as a step of that name; without one, everything is done.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";

import * as cfn from "@aws-sdk/client-cloudformation";
import * as cw from "@aws-sdk/client-cloudwatch";
import { ECRClient, GetAuthorizationTokenCommand, GetRepositoryPolicyCommand } from "@aws-sdk/client-ecr";
import { GetRolePolicyCommand, IAMClient, ListRolesCommand } from "@aws-sdk/client-iam";
import { DescribeKeyCommand, GetKeyPolicyCommand, KMSClient } from "@aws-sdk/client-kms";
import * as s3 from "@aws-sdk/client-s3";
import * as sm from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { fromIni, fromTemporaryCredentials } from "@aws-sdk/credential-providers";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const ServiceException = Object.getPrototypeOf(sm.SageMakerServiceException); // of all services
const given = process.env;
const { NAME, BUCKET } = given;
const region = given.AWS_DEFAULT_REGION; // this client reads AWS_REGION, or the profile

const tell = (step, ok, shown) => console.log(JSON.stringify({ step, ok, shown: String(shown ?? "") }));

// A step that is done when the function comes to its end; what it returns is shown.
async function step(name, act) {
  try {
    tell(name, true, await act());
  } catch (error) {
    tell(name, false, error.stack ?? error);
  }
}

// A step that AWS is to refuse: the client's own error, with the status and the id of the request.
async function refused(name, kind, act) {
  try {
    await act();
    tell(name, false, "was not refused");
  } catch (error) {
    const found = error.$metadata ?? {};
    const ok = error instanceof kind && found.httpStatusCode >= 400 && found.httpStatusCode < 500 && found.requestId;
    tell(name, Boolean(ok), `${error.name}: ${error.message} (status ${found.httpStatusCode}, request ${found.requestId ? "with" : "without"} an id)`);
  }
}

const assumed = (profile, RoleArn, ExternalId) => ({
  region,
  credentials: fromTemporaryCredentials({
    masterCredentials: fromIni({ profile }),
    params: { RoleArn, RoleSessionName: "stranger", ExternalId },
    clientConfig: { region },
  }),
});
const admin = (side) => ({
  region,
  credentials: { accessKeyId: given[`${side}_ADMIN_KEY`], secretAccessKey: given[`${side}_ADMIN_SECRET`] },
});
const producing = assumed("producer", given.PRODUCER_ROLE, given.PRODUCER_EXTERNAL_ID);
const deploying = assumed("staging", given.DEPLOYER_ROLE, given.EXTERNAL_ID);
const sagemaker = new sm.SageMakerClient(deploying);
const cloudwatch = new cw.CloudWatchClient(deploying);

function createModel() {
  return sagemaker.send(
    new sm.CreateModelCommand({
      ModelName: NAME,
      ExecutionRoleArn: given.EXECUTION_ROLE,
      Containers: [{ ModelPackageName: given.PACKAGE }],
    }),
  );
}

async function reads() {
  await step("bucket policy", async () => {
    const found = await new s3.S3Client(producing).send(new s3.GetBucketPolicyCommand({ Bucket: BUCKET }));
    return JSON.parse(found.Policy).Version;
  });
  await step("repository policy", async () => {
    const asked = new GetRepositoryPolicyCommand({ repositoryName: given.REPOSITORY });
    return JSON.parse((await new ECRClient(producing).send(asked)).policyText).Version;
  });
  await step("group policy", async () => {
    const asked = new sm.GetModelPackageGroupPolicyCommand({ ModelPackageGroupName: given.GROUP });
    return JSON.parse((await new sm.SageMakerClient(producing).send(asked)).ResourcePolicy).Version;
  });
  await step("key policy", async () => {
    const asked = new GetKeyPolicyCommand({ KeyId: given.KEY, PolicyName: "default" });
    return JSON.parse((await new KMSClient(producing).send(asked)).Policy).Version;
  });
}

const patience = { maxWaitTime: 60, minDelay: 1, maxDelay: 1 };

async function hosting() {
  await step("create model", async () => (await createModel()).ModelArn);
  await step("create endpoint", async () => {
    const variant = { VariantName: "AllTraffic", ModelName: NAME, InstanceType: "ml.m5.large", InitialInstanceCount: 1 };
    await sagemaker.send(new sm.CreateEndpointConfigCommand({ EndpointConfigName: NAME, ProductionVariants: [variant] }));
    const made = await sagemaker.send(new sm.CreateEndpointCommand({ EndpointName: NAME, EndpointConfigName: NAME }));
    return made.EndpointArn;
  });
  await step("wait", async () => {
    return (await sm.waitUntilEndpointInService({ client: sagemaker, ...patience }, { EndpointName: NAME })).state;
  });
  await step("invoke", async () => {
    const asked = { EndpointName: NAME, ContentType: "text/csv", Accept: "application/json" };
    const Body = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5";
    const answer = await new SageMakerRuntimeClient(deploying).send(new InvokeEndpointCommand({ ...asked, Body }));
    const said = JSON.parse(new TextDecoder().decode(answer.Body));
    assert.deepEqual(said, [0, 2]);
    return JSON.stringify(said);
  });
  await step("alarms", async () => {
    const found = await cloudwatch.send(new cw.DescribeAlarmsCommand({ AlarmNames: ["none-of-this-name"] }));
    assert.equal(found.MetricAlarms?.length ?? 0, 0);
    return found.$metadata.httpStatusCode;
  });
}

async function denials() {
  const alarm = { AlarmName: NAME, ComparisonOperator: "GreaterThanThreshold", EvaluationPeriods: 1 };
  const runtime = new SageMakerRuntimeClient(deploying);
  const stacks = new cfn.CloudFormationClient(deploying);
  const objects = new s3.S3Client(deploying);
  const cases = [
    ["refused the bucket's policy", objects, new s3.GetBucketPolicyCommand({ Bucket: BUCKET })],
    ["refused an alarm", cloudwatch, new cw.PutMetricAlarmCommand(alarm)],
    ["refused an answer", runtime, new InvokeEndpointCommand({ EndpointName: "of-others", Body: "1" })],
    ["refused roles", new IAMClient(deploying), new ListRolesCommand({})],
    ["refused stacks", stacks, new cfn.DescribeStacksCommand({ StackName: "crossaccount" })],
    ["refused a login", new ECRClient(deploying), new GetAuthorizationTokenCommand({})],
    ["refused a key", new KMSClient(deploying), new DescribeKeyCommand({ KeyId: given.KEY })],
    ["refused a head", objects, new s3.HeadObjectCommand({ Bucket: BUCKET, Key: "of/others" })],
  ];
  for (const [name, client, command] of cases) {
    await refused(name, ServiceException, () => client.send(command));
  }
  const none = { EndpointName: "decision-trees-staging-v2-of-none" };
  const failed = await sm.waitUntilEndpointInService({ client: sagemaker, ...patience }, none).catch((error) => error);
  tell("refused a wait", failed instanceof Error, failed.message ?? failed.state);
}

async function end() {
  await step("tear down", async () => {
    await sagemaker.send(new sm.DeleteEndpointCommand({ EndpointName: NAME }));
    await sm.waitUntilEndpointDeleted({ client: sagemaker, ...patience }, { EndpointName: NAME });
    await sagemaker.send(new sm.DeleteEndpointConfigCommand({ EndpointConfigName: NAME }));
    await sagemaker.send(new sm.DeleteModelCommand({ ModelName: NAME }));
  });
  await step("nothing left", async () => {
    const asked = { NameContains: NAME };
    assert.deepEqual((await sagemaker.send(new sm.ListEndpointsCommand(asked))).Endpoints, []);
    assert.deepEqual((await sagemaker.send(new sm.ListEndpointConfigsCommand(asked))).EndpointConfigs, []);
    assert.deepEqual((await sagemaker.send(new sm.ListModelsCommand(asked))).Models, []);
  });
}

// What the client does by itself.

async function requestIds() {
  const target = admin("TARGET");
  const answers = [
    await new STSClient(deploying).send(new GetCallerIdentityCommand({})),
    await sagemaker.send(new sm.ListModelsCommand({})),
    await cloudwatch.send(new cw.DescribeAlarmsCommand({})),
    await new s3.S3Client(target).send(new s3.ListBucketsCommand({})),
    await new ECRClient(target).send(new GetAuthorizationTokenCommand({})),
    await new KMSClient(producing).send(new GetKeyPolicyCommand({ KeyId: given.KEY, PolicyName: "default" })),
    await new IAMClient(target).send(new ListRolesCommand({})),
    await new cfn.CloudFormationClient(target).send(new cfn.DescribeStacksCommand({})),
  ];
  const ids = answers.map((answer) => answer.$metadata.requestId);
  assert.equal(new Set(ids.filter(Boolean)).size, answers.length, `ids: ${ids}`);
}

const storage = new s3.S3Client(admin("PRODUCER"));
const Bucket = "stranger-javascript";

async function checksums() {
  await storage.send(new s3.CreateBucketCommand({ Bucket }));
  const put = await storage.send(new s3.PutObjectCommand({ Bucket, Key: "leaf", Body: "one" }));
  assert.equal(put.ChecksumCRC32, "emyG8Q=="); // added by the client itself
  const got = await storage.send(new s3.GetObjectCommand({ Bucket, Key: "leaf" }));
  assert.equal(await got.Body.transformToString(), "one"); // and checked by it
  assert.equal(got.ChecksumCRC32, put.ChecksumCRC32);
  const Body = Readable.from([Buffer.alloc(70_000, 1), Buffer.alloc(70_000, 2)]); // the checksum comes in a trailer
  await storage.send(new s3.PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: 140_000 }));
  const stream = await storage.send(new s3.GetObjectCommand({ Bucket, Key: "stream" }));
  assert.equal((await stream.Body.transformToByteArray()).length, 140_000);
  for (const ChecksumAlgorithm of ["SHA256", "CRC32C", "SHA1"]) {
    const other = await storage.send(new s3.PutObjectCommand({ Bucket, Key: "other", Body: "two", ChecksumAlgorithm }));
    assert.ok(other[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm);
  }
  const wrong = new s3.PutObjectCommand({ Bucket, Key: "wrong", Body: "one", ChecksumCRC32: "AAAAAA==" });
  await assert.rejects(storage.send(wrong), (error) => error.name === "BadDigest" || error.name === "InvalidRequest");
}

async function parts() {
  const Body = randomBytes(12_000_000);
  await new Upload({ client: storage, params: { Bucket, Key: "large", Body } }).done();
  const asked = { Bucket, Key: "copy" };
  const { UploadId } = await storage.send(new s3.CreateMultipartUploadCommand(asked));
  const Parts = [];
  for (const [index, range] of ["0-5999999", "6000000-11999999"].entries()) {
    const part = { ...asked, UploadId, PartNumber: index + 1, CopySource: `${Bucket}/large`, CopySourceRange: `bytes=${range}` };
    const { CopyPartResult } = await storage.send(new s3.UploadPartCopyCommand(part));
    Parts.push({ PartNumber: index + 1, ETag: CopyPartResult.ETag });
  }
  await storage.send(new s3.CompleteMultipartUploadCommand({ ...asked, UploadId, MultipartUpload: { Parts } }));
  const copy = await storage.send(new s3.GetObjectCommand(asked));
  assert.ok(Body.equals(Buffer.from(await copy.Body.transformToByteArray())));
}

async function presigned() {
  const url = await getSignedUrl(storage, new s3.GetObjectCommand({ Bucket, Key: "leaf" }), { expiresIn: 60 });
  assert.equal(await (await fetch(url)).text(), "one");
  const other = await fetch(url.replace("/leaf", "/other"));
  assert.equal(other.status, 403);
  assert.match(await other.text(), /<Code>SignatureDoesNotMatch<\/Code>/);
  const to = await getSignedUrl(storage, new s3.PutObjectCommand({ Bucket, Key: "put" }), { expiresIn: 60 });
  assert.equal((await fetch(to, { method: "PUT", body: "three" })).status, 200);
}

async function emptied() {
  for await (const page of s3.paginateListObjectsV2({ client: storage, pageSize: 2 }, { Bucket })) {
    const Objects = page.Contents.map(({ Key }) => ({ Key }));
    await storage.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  }
  await storage.send(new s3.DeleteBucketCommand({ Bucket }));
  await assert.rejects(storage.send(new s3.HeadBucketCommand({ Bucket })), s3.NotFound);
}

// The consumer's template through change sets, as `aws cloudformation deploy` and the CDK do it.

const StackName = "stranger-javascript";
const cloudformation = new cfn.CloudFormationClient(admin("TARGET"));
const iam = new IAMClient(admin("TARGET"));

async function changeSet(ChangeSetName, ChangeSetType, changed) {
  const parameters = {
    NamePrefix: StackName,
    ProducerAccount: given.PRODUCER_ACCOUNT,
    ModelPackageGroupName: given.GROUP,
    ArtifactBucket: BUCKET,
    ReleasesBucket: BUCKET,
    ReleasesPrefix: "releases/",
    RepositoryName: given.REPOSITORY,
    EndpointName: "stranger",
    ExternalId: "stranger-id",
    ...changed,
  };
  const Parameters = Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue }));
  const TemplateBody = await readFile(`${given.TEMPLATES}/consumer.yaml`, "utf8");
  const Capabilities = ["CAPABILITY_NAMED_IAM"];
  const asked = { StackName, ChangeSetName, ChangeSetType, TemplateBody, Parameters, Capabilities };
  await cloudformation.send(new cfn.CreateChangeSetCommand(asked));
  await cfn.waitUntilChangeSetCreateComplete({ client: cloudformation, ...patience }, { StackName, ChangeSetName });
  await cloudformation.send(new cfn.ExecuteChangeSetCommand({ StackName, ChangeSetName }));
}

async function policy(role, PolicyName) {
  const found = await iam.send(new GetRolePolicyCommand({ RoleName: `${StackName}-${role}`, PolicyName }));
  return decodeURIComponent(found.PolicyDocument);
}

async function stacksMade() {
  await changeSet("first", "CREATE", { ArtifactPrefix: "models/one/" });
  await cfn.waitUntilStackCreateComplete({ client: cloudformation, ...patience }, { StackName });
  assert.match(await policy("execution", "model"), /models\/one\//);
  assert.match(await policy("deployer", "shared-package"), /models\/one\//);
  await assert.rejects(policy("execution", "key"), { name: "NoSuchEntityException" });
  const [stack] = (await cloudformation.send(new cfn.DescribeStacksCommand({ StackName }))).Stacks;
  assert.deepEqual(stack.Outputs.map(({ OutputKey }) => OutputKey).sort(), ["DeployerRole", "ExecutionRole"]);
}

const second = { ArtifactPrefix: "models/two/", KeyArn: given.KEY };

async function stacksChanged() {
  await changeSet("second", "UPDATE", second);
  await cfn.waitUntilStackUpdateComplete({ client: cloudformation, ...patience }, { StackName });
  assert.match(await policy("execution", "model"), /models\/two\//);
  assert.ok((await policy("execution", "key")).includes(given.KEY));
  assert.ok((await policy("deployer", "key")).includes(given.KEY));
}

async function stacksUnchanged() {
  await assert.rejects(changeSet("third", "UPDATE", second));
  const asked = new cfn.DescribeChangeSetCommand({ StackName, ChangeSetName: "third" });
  const { Status, StatusReason } = await cloudformation.send(asked);
  assert.equal(Status, "FAILED");
  assert.match(StatusReason, /didn't contain changes|No updates are to be performed/);
  return StatusReason;
}

async function stacksDeleted() {
  await cloudformation.send(new cfn.DeleteStackCommand({ StackName }));
  await cfn.waitUntilStackDeleteComplete({ client: cloudformation, ...patience }, { StackName });
  const left = (await iam.send(new ListRolesCommand({}))).Roles.filter(({ RoleName }) => RoleName.startsWith(StackName));
  assert.deepEqual(left, []);
}

if (process.argv.length > 2) {
  await refused(process.argv[2], sm.SageMakerServiceException, createModel);
} else {
  await reads();
  await refused("refused without the external id", Error, () => {
    return new STSClient(assumed("staging", given.DEPLOYER_ROLE)).send(new GetCallerIdentityCommand({}));
  });
  await step("assume deployer", async () => (await new STSClient(deploying).send(new GetCallerIdentityCommand({}))).Arn);
  await hosting();
  await denials();
  await end();
  await step("request ids", requestIds);
  await step("checksums", checksums);
  await step("uploads in parts", parts);
  await step("presigned", presigned);
  await step("emptied", emptied);
  await step("stacks made", stacksMade);
  await step("stacks changed", stacksChanged);
  await step("stacks unchanged", stacksUnchanged);
  await step("stacks deleted", stacksDeleted);
}
