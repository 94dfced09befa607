package problem

import "slices"

// Code is a stable, snake_case name of one thing that can go wrong.
type Code string

// Entry is what the table says of a code.
type Entry struct {
	Code   Code
	Status int // HTTP status; 0 for codes that HTTP never answers
	EN, ZH string
	FixEN  string
	FixZH  string
}

// The codes. Order and grouping follow the road of a request, then of a row.
const (
	Internal           Code = "internal"
	RequestInvalid     Code = "request_invalid"
	RequestTooLarge    Code = "request_too_large"
	LimitOutOfRange    Code = "limit_out_of_range"
	RouteUnknown       Code = "route_unknown"
	MethodNotAllowed   Code = "method_not_allowed"
	CertificateMissing Code = "client_certificate_missing"
	CertificateUntrust Code = "client_certificate_untrusted"
	CertificateExpired Code = "client_certificate_expired"
	CertificateEarly   Code = "client_certificate_not_yet_valid"
	CertificateUse     Code = "client_certificate_wrong_use"
	CertificateName    Code = "client_certificate_wrong_name"
	CertificateRevoked Code = "client_certificate_revoked"
	CertificateStatus  Code = "client_certificate_status_unknown"
	ForwardedRefused   Code = "forwarded_certificate_refused"
	CallerUnknown      Code = "caller_unknown"
	CallerSuspended    Code = "caller_suspended"
	TokenMissing       Code = "token_missing"
	TokenMalformed     Code = "token_malformed"
	TokenForged        Code = "token_forged"
	TokenExpired       Code = "token_expired"
	TokenEarly         Code = "token_not_yet_valid"
	TokenRevoked       Code = "token_revoked"
	TokenScope         Code = "token_scope_exceeded"
	TokenAudience      Code = "token_wrong_audience"
	TokenIssuer        Code = "token_wrong_issuer"
	TokenCertificate   Code = "token_of_another_certificate"
	GrantUnsupported   Code = "grant_type_unsupported"
	ClientMismatch     Code = "client_id_mismatch"
	AssertionInvalid   Code = "client_assertion_invalid"
	AssertionReplayed  Code = "client_assertion_replayed"
	ReplayUnavailable  Code = "replay_store_unavailable"
	ScopeUnknown       Code = "scope_unknown"
	ResourceUnknown    Code = "resource_unknown"
	RateLimited        Code = "rate_limited"
	ProductUnknown     Code = "product_unknown"
	PurposeMissing     Code = "purpose_missing"
	PurposeNotAgreed   Code = "purpose_not_agreed"
	AgreementMissing   Code = "agreement_missing"
	AgreementEarly     Code = "agreement_not_started"
	AgreementEnded     Code = "agreement_ended"
	DeliveryNotAgreed  Code = "delivery_not_agreed"
	EmergencyInvalid   Code = "emergency_not_in_force"
	AgreementSuspended Code = "agreement_suspended"
	ShareWithheld      Code = "share_class_withheld"
	ProviderDenied     Code = "provider_denied"
	FieldWithheld      Code = "field_withheld"
	FieldUnknown       Code = "field_unknown"
	PolicyUnevaluable  Code = "policy_unevaluable"
	QuotaExhausted     Code = "quota_exhausted"
	CursorInvalid      Code = "cursor_invalid"
	CursorForeign      Code = "cursor_of_another_caller"
	ReceiptUnknown     Code = "receipt_unknown"
	EventUnknown       Code = "event_unknown"
	RecordUnknown      Code = "record_unknown"
	ProviderOnly       Code = "provider_only"
	KafkaUnavailable   Code = "kafka_unavailable"
	LedgerUnavailable  Code = "ledger_unavailable"
	VaultUnavailable   Code = "vault_unavailable"
	WrappingUsed       Code = "wrapping_token_used"
	CredentialEnding   Code = "credential_ending"
	QuotaUnavailable   Code = "quota_unavailable"
	ControlStale       Code = "control_stale"
	PolicyNotAdopted   Code = "policy_not_adopted"
	Overloaded         Code = "overloaded"

	FormatUnavailable   Code = "format_unavailable"
	VersionUnknown      Code = "schema_version_unknown"
	VersionIncompatible Code = "schema_version_incompatible"

	AcknowledgementUntaken Code = "acknowledgement_not_taken"

	OrderInvalid   Code = "order_invalid"
	OrderForged    Code = "order_forged"
	OrderDuty      Code = "order_not_of_this_duty"
	OrderOutOfTime Code = "order_out_of_time"
	OrderConflict  Code = "order_conflict"
	OrderFourEyes  Code = "order_needs_another_operator"
	OrderUncertain Code = "order_outcome_unknown"

	RecordUnreadable   Code = "record_unreadable"
	RecordUnredactable Code = "record_unredactable"
	RecordUnsealable   Code = "record_unsealable"
	SchemaUnknown      Code = "schema_unknown"

	RequiredMissing   Code = "required_missing"
	NumberUnreadable  Code = "number_unreadable"
	NumberOutOfRange  Code = "number_out_of_range"
	DateUnreadable    Code = "date_unreadable"
	DateInFuture      Code = "date_in_future"
	CodeUnknown       Code = "code_unknown"
	UnitUnknown       Code = "unit_unknown"
	TextTooLong       Code = "text_too_long"
	TextInvalid       Code = "text_invalid"
	PricesOutOfOrder  Code = "prices_out_of_order"
	DatesOutOfOrder   Code = "dates_out_of_order"
	IdentifierInvalid Code = "identifier_invalid"
	RowMalformed      Code = "row_malformed"
	RowForeign        Code = "row_of_another_product"
	RemovalUnnamed    Code = "removal_names_nothing"
	VersionConflict   Code = "version_conflict"
	PersonInClear     Code = "person_in_clear"
	MinorListed       Code = "minor_listed"
	CodeChainBroken   Code = "code_chain_broken"
	CheckDoubtful     Code = "check_character_doubtful" // a warning
	RegionAbolished   Code = "region_abolished"         // a warning

	FileEmpty           Code = "file_empty"
	FileEncoding        Code = "file_encoding"
	ColumnMissing       Code = "column_missing"
	RowTooLong          Code = "row_too_long"
	FileTruncated       Code = "file_truncated"
	FileMalformed       Code = "file_malformed"
	FileTooLarge        Code = "file_too_large"
	SheetMissing        Code = "sheet_missing"
	FileVanished        Code = "file_vanished"
	FileUnreadable      Code = "file_unreadable"
	FileUnmovable       Code = "file_unmovable"
	DirectoryUnreadable Code = "directory_unreadable"
	DiskFull            Code = "disk_full"
	HeldRowsMissing     Code = "held_rows_missing"

	ConfigInvalid      Code = "config_invalid"
	RegistryUnusable   Code = "schema_registry_unusable"
	ConnectorFenced    Code = "connector_fenced"
	GatewayUnreachable Code = "gateway_unreachable"
	ReceiptInvalid     Code = "receipt_invalid"
	AnswerInvalid      Code = "answer_invalid"
)

// Table returns every entry, in the order of the road.
func Table() []Entry { return slices.Concat(requests, shapes, rows) }

// Entry is the code's line of the table; a code that is not in it reads as
// [Internal], so that a typing error cannot invent an answer.
func (c Code) Entry() Entry {
	for _, table := range [][]Entry{requests, shapes, rows} {
		for i := range table {
			if table[i].Code == c {
				return table[i]
			}
		}
	}
	return requests[0]
}
