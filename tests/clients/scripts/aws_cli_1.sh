#!/usr/bin/env bash
# The AWS CLI, version 1: role profiles with a source profile, its own transfers, waiters, and `cloudformation deploy`.
# With an argument, CreateModel alone is tried, as a step of that name; without one, everything is done.
set -u

export AWS_PAGER=

tell() {  # NAME CODE TEXT: the line of a step; the code 0 is ok
  python -c 'import json, sys; print(json.dumps({"step": sys.argv[1], "ok": sys.argv[2] == "0", "shown": sys.argv[3]}))' "$@"
}

step() {  # NAME COMMAND...: a step that is done when the command ends with 0
  local name=$1 shown code
  shift
  shown=$(set -e; "$@" 2>&1)
  code=$?
  tell "$name" "$code" "$shown"
}

refused() {  # NAME COMMAND...: a step that AWS is to refuse, which this client ends with 255
  local name=$1 shown code
  shift
  shown=$("$@" 2>&1)
  code=$?
  tell "$name" "$((code == 255 ? 0 : 1))" "exit code $code: $shown"
}

same() {  # A B: that they are the same
  [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }
}

as_admin() {  # PRODUCER|TARGET COMMAND...: as that account's administrator
  local key=$1_ADMIN_KEY secret=$1_ADMIN_SECRET
  shift
  AWS_ACCESS_KEY_ID=${!key} AWS_SECRET_ACCESS_KEY=${!secret} "$@"
}

profiles() {  # two roles beside the profiles that are there, in a file of one's own
  cp "$AWS_CONFIG_FILE" "$HOME/config"
  export AWS_CONFIG_FILE=$HOME/config
  role deployer "$DEPLOYER_ROLE" staging
  aws configure set profile.deployer.external_id "$EXTERNAL_ID"
  role producing "$PRODUCER_ROLE" producer
  aws configure set profile.producing.external_id "$PRODUCER_EXTERNAL_ID"
  role unnamed "$DEPLOYER_ROLE" staging
}

role() {  # PROFILE ARN SOURCE
  aws configure set "profile.$1.role_arn" "$2"
  aws configure set "profile.$1.source_profile" "$3"
  aws configure set "profile.$1.region" "$AWS_DEFAULT_REGION"
}

deployer() { aws --profile deployer "$@"; }
producing() { aws --profile producing --output text "$@"; }

create_model() {
  deployer sagemaker create-model --model-name "$NAME" --execution-role-arn "$EXECUTION_ROLE" \
    --containers "ModelPackageName=$PACKAGE" --output text
}

create_endpoint() {
  deployer sagemaker create-endpoint-config --endpoint-config-name "$NAME" --production-variants \
    "VariantName=AllTraffic,ModelName=$NAME,InstanceType=ml.m5.large,InitialInstanceCount=1"
  deployer sagemaker create-endpoint --endpoint-name "$NAME" --endpoint-config-name "$NAME" --output text
}

in_service() {
  deployer sagemaker wait endpoint-in-service --endpoint-name "$NAME"
  same "$(deployer sagemaker describe-endpoint --endpoint-name "$NAME" --query EndpointStatus --output text)" InService
}

invoke() {
  printf '5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5' >rows.csv
  deployer sagemaker-runtime invoke-endpoint --endpoint-name "$NAME" --content-type text/csv \
    --accept application/json --body file://rows.csv answer.json
  same "$(tr -d ' \n' <answer.json)" "[0,2]"
  cat answer.json
}

alarms() {
  same "$(deployer cloudwatch describe-alarms --alarm-names none-of-this-name --query 'length(MetricAlarms)')" 0
}

tear_down() {
  deployer sagemaker delete-endpoint --endpoint-name "$NAME"
  deployer sagemaker wait endpoint-deleted --endpoint-name "$NAME"
  deployer sagemaker delete-endpoint-config --endpoint-config-name "$NAME"
  deployer sagemaker delete-model --model-name "$NAME"
}

nothing_left() {
  same "$(deployer sagemaker list-endpoints --name-contains "$NAME" --query 'length(Endpoints)')" 0
  same "$(deployer sagemaker list-endpoint-configs --name-contains "$NAME" --query 'length(EndpointConfigs)')" 0
  same "$(deployer sagemaker list-models --name-contains "$NAME" --query 'length(Models)')" 0
}

# What the client does by itself.

ONE=s3://stranger-one TWO=s3://stranger-two
storage() { as_admin PRODUCER aws s3 "$@"; }
quiet() { storage "$@" --only-show-errors; }

copies() {  # more than 8 MB: in parts, up, across and down
  head -c 20000000 /dev/urandom >large
  storage mb $ONE
  storage mb $TWO
  quiet cp large $ONE/large
  quiet cp $ONE/large $TWO/deep/copy
  quiet cp $TWO/deep/copy back
  cmp large back
}

syncs() {
  mkdir -p tree/branch
  echo one >tree/leaf
  echo two >tree/branch/leaf
  quiet sync tree $ONE/tree
  rm tree/leaf
  quiet sync tree $ONE/tree --delete
  quiet sync $ONE/tree $TWO/tree
  quiet sync $TWO/tree down
  same "$(find down -type f)" down/branch/leaf
  same "$(quiet sync tree $ONE/tree)" ""
}

presigns() {
  local url
  url=$(as_admin PRODUCER aws s3 presign $ONE/tree/branch/leaf)
  same "$(curl -sSf "$url")" two
  same "$(curl -s -o answer.xml -w '%{http_code}' "${url/leaf/other}")" 403
  has '<Code>SignatureDoesNotMatch</Code>' <answer.xml
}

removes() {
  storage rb $ONE --force
  storage rb $TWO --force
  same "$(as_admin PRODUCER aws s3 ls | grep -cE 'stranger-(one|two)')" 0
}

log_in() {  # a password for docker, of which nothing is shown, and how long it counts
  local password
  password=$(as_admin TARGET aws ecr get-login-password)
  [ ${#password} -gt 20 ] || { echo "no password"; return 1; }
  as_admin TARGET aws ecr get-authorization-token --query 'authorizationData[0].[proxyEndpoint,expiresAt]' --output text >token
  grep -q "^https://$TARGET_ACCOUNT.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com" token || { cat token; return 1; }
  python -c 'import sys, time; left = float(sys.argv[1]) - time.time(); assert 42000 < left < 44000, left' \
    "$(cut -f2 token)"
}

logs() {  # what the endpoint's container printed
  local group=/aws/sagemaker/Endpoints/$NAME stream
  stream=$(as_admin TARGET aws logs describe-log-streams --log-group-name "$group" --query 'logStreams[0].logStreamName' --output text)
  as_admin TARGET aws logs filter-log-events --log-group-name "$group" --query 'length(events)'
  as_admin TARGET aws logs get-log-events --log-group-name "$group" --log-stream-name "$stream" --query 'events[].message'
}

FIRST=(ArtifactPrefix=models/one/ KeyArn=)
SECOND=(ArtifactPrefix=models/two/ "KeyArn=$KEY")

deploy() {  # PRODUCER|TARGET TEMPLATE PARAMETER...
  local side=$1 template=$2
  shift 2
  as_admin "$side" aws cloudformation deploy --stack-name stranger --template-file "$TEMPLATES/$template" \
    --capabilities CAPABILITY_NAMED_IAM --parameter-overrides NamePrefix=stranger ExternalId=stranger-id \
    "ModelPackageGroupName=$GROUP" "ArtifactBucket=$BUCKET" "ReleasesBucket=$BUCKET" ReleasesPrefix=releases/ \
    "RepositoryName=$REPOSITORY" "$@"
}

consumer() {  # PARAMETER...
  deploy TARGET consumer.yaml "ProducerAccount=$PRODUCER_ACCOUNT" EndpointName=stranger "$@"
}

policy() {  # ROLE POLICY: an inline policy as it stands
  as_admin TARGET aws iam get-role-policy --role-name "stranger-$1" --policy-name "$2" --output json
}

has() {  # TEXT of a document
  grep -Fq -- "$1" || { echo "there is no $1"; return 1; }
}

stacks_made() {
  deploy PRODUCER producer.yaml KeyArn=
  consumer "${FIRST[@]}"
  policy execution model | has "$BUCKET/models/one/"
  policy deployer shared-package | has "$BUCKET/models/one/"
  same "$(as_admin TARGET aws iam list-role-policies --role-name stranger-execution --query 'length(PolicyNames)')" 2
  as_admin TARGET aws cloudformation describe-stacks --stack-name stranger --query 'Stacks[0].Outputs' | has role/stranger-deployer
}

stacks_changed() {
  deploy PRODUCER producer.yaml "KeyArn=$KEY"
  consumer "${SECOND[@]}"
  policy execution model | has "$BUCKET/models/two/"
  policy deployer shared-package | has "$BUCKET/models/two/"
  policy execution key | has "$KEY"
  policy deployer key | has "$KEY"
  as_admin PRODUCER aws iam get-role-policy --role-name stranger-producer --policy-name key | has "$KEY"
}

stacks_unchanged() {
  consumer "${SECOND[@]}" >said 2>&1 && { echo "an unchanged stack was deployed"; return 1; }
  has "No changes to deploy. Stack stranger is up to date" <said
}

stacks_deleted() {
  local side
  for side in TARGET PRODUCER; do
    as_admin $side aws cloudformation delete-stack --stack-name stranger
    as_admin $side aws cloudformation wait stack-delete-complete --stack-name stranger
    as_admin $side aws iam list-roles --query 'Roles[].RoleName' --output text | tr '\t' '\n' >names
    as_admin $side aws iam list-policies --scope Local --query 'Policies[].PolicyName' --output text | tr '\t' '\n' >>names
    same "$(grep -c stranger names)" 0
  done
}

profiles
if [ $# -gt 0 ]; then
  refused "$1" create_model
  exit 0
fi
step "bucket policy" producing s3api get-bucket-policy --bucket "$BUCKET"
step "repository policy" producing ecr get-repository-policy --repository-name "$REPOSITORY"
step "group policy" producing sagemaker get-model-package-group-policy --model-package-group-name "$GROUP"
step "key policy" producing kms get-key-policy --key-id "$KEY" --policy-name default
refused "refused without the external id" aws --profile unnamed sts get-caller-identity
step "assume deployer" deployer sts get-caller-identity --query Arn
step "create model" create_model
step "create endpoint" create_endpoint
step "alarms" alarms
step "s3 cp in parts" copies
step "s3 sync" syncs
step "s3 presign" presigns
step "s3 rb" removes
step "wait" in_service
step "invoke" invoke
step "logs" logs
step "ecr login" log_in
refused "refused the bucket's policy" deployer s3api get-bucket-policy --bucket "$BUCKET"
refused "refused an alarm" deployer cloudwatch put-metric-alarm --alarm-name "$NAME" \
  --comparison-operator GreaterThanThreshold --evaluation-periods 1
refused "refused an answer" deployer sagemaker-runtime invoke-endpoint --endpoint-name of-others --body 1 answer.json
refused "refused roles" deployer iam list-roles
refused "refused stacks" deployer cloudformation describe-stacks --stack-name crossaccount
refused "refused a login" deployer ecr get-login-password
refused "refused a key" deployer kms describe-key --key-id "$KEY"
refused "refused a head" deployer s3api head-object --bucket "$BUCKET" --key of/others
refused "refused a wait" deployer sagemaker wait endpoint-in-service --endpoint-name decision-trees-staging-v2-of-none
step "tear down" tear_down
step "nothing left" nothing_left
step "stacks made" stacks_made
step "stacks changed" stacks_changed
step "stacks unchanged" stacks_unchanged
step "stacks deleted" stacks_deleted
