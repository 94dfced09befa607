package problem

import "net/http"

// requests are the sentences of what can go wrong on the road of a request, in
// its order; what can go wrong on that of a row stands in rows.go.
var requests = []Entry{
	{
		Internal, http.StatusInternalServerError,
		"the hub could not do this", "系统内部错误",
		"repeat the request; if it fails again, give the operator the instance id", "请重试；仍失败时请将 instance 编号告知平台运维",
	},
	{
		RequestInvalid, http.StatusBadRequest,
		"the request is not well formed", "请求格式不正确",
		"compare it with /openapi.json", "请对照 /openapi.json 检查",
	},
	{
		RequestTooLarge, http.StatusRequestEntityTooLarge,
		"the request is larger than allowed", "请求超过允许的大小",
		"send a smaller request", "请缩小请求",
	},
	{
		LimitOutOfRange, http.StatusBadRequest,
		"limit is out of range", "limit 超出范围",
		"use a limit within the range named in the detail", "请使用 detail 所列范围内的 limit",
	},
	{
		RouteUnknown, http.StatusNotFound,
		"there is no such path", "路径不存在",
		"see /openapi.json for the paths", "路径见 /openapi.json",
	},
	{
		MethodNotAllowed, http.StatusMethodNotAllowed,
		"the path does not take this method", "该路径不支持此方法",
		"see /openapi.json for the methods", "方法见 /openapi.json",
	},
	{
		CertificateMissing, http.StatusUnauthorized,
		"no client certificate was presented", "未出示客户端证书",
		"connect with the certificate that your province's platform issued", "请使用本省（市）平台签发的证书连接",
	},
	{
		CertificateUntrust, http.StatusUnauthorized,
		"the client certificate was not issued by a trusted authority", "客户端证书不是受信任机构签发",
		"use a certificate of a province whose trust bundle this hub holds", "请使用互信清单内机构签发的证书",
	},
	{
		CertificateExpired, http.StatusUnauthorized,
		"the client certificate has expired", "客户端证书已过期",
		"renew the certificate", "请更新证书",
	},
	{
		CertificateEarly, http.StatusUnauthorized,
		"the client certificate is not valid yet", "客户端证书尚未生效",
		"check the clock of the machine that issued it", "请检查签发机器的时钟",
	},
	{
		CertificateUse, http.StatusUnauthorized,
		"the certificate is not meant for client authentication", "证书用途不是客户端认证",
		"ask for a participant certificate", "请申请参与方证书",
	},
	{
		CertificateName, http.StatusUnauthorized,
		"the certificate's name is not one its issuer may give", "证书名称超出签发机构的范围",
		"ask the issuing province for a certificate with its own trust domain", "请由所属省（市）重新签发",
	},
	{
		CertificateRevoked, http.StatusUnauthorized,
		"the client certificate has been revoked", "客户端证书已被吊销",
		"ask the operator for a new certificate", "请联系平台运维重新签发证书",
	},
	{
		CertificateStatus, http.StatusServiceUnavailable,
		"it is not known whether the client certificate was revoked", "无法确认客户端证书是否已吊销",
		"repeat the request after the seconds of Retry-After; if it lasts, its authority publishes no fresh CRL or OCSP", "请按 Retry-After 重试；持续出现时签发机构未发布有效的 CRL 或 OCSP",
	},
	{
		ForwardedRefused, http.StatusBadRequest,
		"a certificate in a header was sent by someone who may not", "请求头中的客户端证书来源不被允许",
		"connect with your own certificate, without Client-Cert headers", "请使用自身证书直接连接，勿携带 Client-Cert 请求头",
	},
	{
		CallerUnknown, http.StatusUnauthorized,
		"the participant is not admitted to this hub", "参与方未登记",
		"ask the operator to admit the participant", "请联系平台运维办理接入登记",
	},
	{
		CallerSuspended, http.StatusForbidden,
		"the participant is suspended or no longer admitted", "参与方已被暂停或移除",
		"ask the operator; the reason is in the control log", "请联系平台运维，原因见控制日志",
	},
	{
		TokenMissing, http.StatusUnauthorized,
		"no access token was presented", "未出示访问令牌",
		"get one from /oauth2/token and send it as Bearer", "请先从 /oauth2/token 获取令牌",
	},
	{
		TokenMalformed, http.StatusUnauthorized,
		"the access token cannot be read", "访问令牌无法解析",
		"get a new one from /oauth2/token", "请重新获取令牌",
	},
	{
		TokenForged, http.StatusUnauthorized,
		"the access token's signature is not this hub's", "访问令牌签名无效",
		"get a new one from /oauth2/token of this hub", "请从本平台 /oauth2/token 重新获取令牌",
	},
	{
		TokenExpired, http.StatusUnauthorized,
		"the access token has expired", "访问令牌已过期",
		"get a new one from /oauth2/token", "请重新获取令牌",
	},
	{
		TokenEarly, http.StatusUnauthorized,
		"the access token is not valid yet", "访问令牌尚未生效",
		"check the clocks, and get a new one from /oauth2/token", "请校准时钟后重新获取令牌",
	},
	{
		TokenRevoked, http.StatusUnauthorized,
		"the access token has been revoked", "访问令牌已被撤销",
		"get a new one from /oauth2/token", "请重新获取令牌",
	},
	{
		TokenScope, http.StatusForbidden,
		"the access token was narrowed to other products", "访问令牌的 scope 不含该目录条目",
		"get a token with this product in its scope, or without a scope", "请获取 scope 含该目录条目的令牌",
	},
	{
		TokenAudience, http.StatusUnauthorized,
		"the access token is for another service", "访问令牌的受众不是本服务",
		"get a token of this hub", "请获取本平台的令牌",
	},
	{
		TokenIssuer, http.StatusUnauthorized,
		"the access token was issued by another hub", "访问令牌由其他平台签发",
		"get a token of this hub", "请获取本平台的令牌",
	},
	{
		TokenCertificate, http.StatusUnauthorized,
		"the access token belongs to another certificate", "访问令牌与客户端证书不匹配",
		"use the certificate with which the token was obtained", "请使用获取令牌时的证书",
	},
	{
		GrantUnsupported, http.StatusBadRequest,
		"the grant type is not supported", "不支持的授权类型",
		"use grant_type=client_credentials", "请使用 grant_type=client_credentials",
	},
	{
		ClientMismatch, http.StatusUnauthorized,
		"client_id is not the participant of the certificate", "client_id 与证书所属参与方不一致",
		"use the participant id of the certificate, or leave client_id out", "请使用证书所属参与方编号",
	},
	{
		AssertionInvalid, http.StatusUnauthorized,
		"the client assertion is not accepted", "客户端断言无效",
		"sign it as RFC 7523 says, with the certificate's key or a registered one; the detail says what is wrong", "请按 RFC 7523 用证书密钥或已登记密钥签名，原因见 detail",
	},
	{
		AssertionReplayed, http.StatusUnauthorized,
		"the client assertion was used before", "客户端断言已被使用过",
		"make a new one, with a jti of its own, for every request", "每次请求请使用新的断言和 jti",
	},
	{
		ReplayUnavailable, http.StatusServiceUnavailable,
		"it cannot be known whether the client assertion was used before, so it is refused", "无法确认断言是否重放，按拒绝处理",
		"repeat the request after the seconds of Retry-After with a new assertion, or leave the assertion out", "请按 Retry-After 用新断言重试，或不带断言",
	},
	{
		ScopeUnknown, http.StatusBadRequest,
		"the scope names something that this caller may not know of", "scope 含有未知目录条目",
		"name products of /v1/products, parted by spaces, or leave scope out", "请填写 /v1/products 中的目录条目，以空格分隔，或不填 scope",
	},
	{
		ResourceUnknown, http.StatusBadRequest,
		"the resource is not this hub", "resource 不是本平台",
		"leave resource out, or use the issuer of /.well-known/oauth-authorization-server", "请不填 resource，或使用元数据中的 issuer",
	},
	{
		RateLimited, http.StatusTooManyRequests,
		"too many requests", "请求过于频繁",
		"wait for the seconds of Retry-After", "请按 Retry-After 等待后重试",
	},
	{
		ProductUnknown, http.StatusNotFound,
		"there is no such product for this caller", "目录条目不存在",
		"see /v1/products for what this caller may know of", "可见目录见 /v1/products",
	},
	{
		PurposeMissing, http.StatusBadRequest,
		"the request names no purpose", "未说明使用目的",
		"add purpose= with a purpose of your agreement", "请在 purpose= 中填写协议约定的使用目的",
	},
	{
		PurposeNotAgreed, http.StatusForbidden,
		"the purpose is not part of the agreement", "使用目的不在共享协议范围内",
		"use an agreed purpose, or apply for a wider agreement", "请使用协议约定的目的，或申请扩大协议",
	},
	{
		AgreementMissing, http.StatusForbidden,
		"there is no agreement for this product", "没有该目录条目的共享协议",
		"apply for one to the provider", "请向提供部门申请",
	},
	{
		AgreementEarly, http.StatusForbidden,
		"the agreement has not begun", "共享协议尚未生效",
		"wait for its first day", "请在协议生效后使用",
	},
	{
		AgreementEnded, http.StatusForbidden,
		"the agreement has ended", "共享协议已到期或终止",
		"apply for a renewal", "请申请续期",
	},
	{
		DeliveryNotAgreed, http.StatusForbidden,
		"the agreement does not allow this way of delivery", "提供方式不在共享协议范围内", "use one that the detail names", "请使用 detail 所列提供方式",
	},
	{
		EmergencyInvalid, http.StatusForbidden,
		"this emergency access is not in force for this", "应急调用未授予或不适用", "use the agreement, or have it granted anew", "请按共享协议调用，或重新授予",
	},
	{
		AgreementSuspended, http.StatusForbidden,
		"the agreement is suspended", "共享协议已暂停",
		"ask the provider; the reason is in the control log", "请联系提供部门，原因见控制日志",
	},
	{
		ShareWithheld, http.StatusForbidden,
		"the product is not shared (不予共享)", "该目录条目不予共享",
		"see the catalogue for the legal basis", "法律依据见目录",
	},
	{
		ProviderDenied, http.StatusForbidden,
		"the provider's rules do not permit this", "提供部门的共享策略不允许",
		"see the rule named in the detail", "请查看 detail 所列策略条款",
	},
	{
		FieldWithheld, http.StatusForbidden,
		"a requested field is not released to this caller", "所请求的字段不予发放",
		"leave the field out, or apply for it", "请去除该字段，或另行申请",
	},
	{
		FieldUnknown, http.StatusBadRequest,
		"the product has no such field", "字段不存在",
		"see /v1/products/{product} for the fields", "字段见 /v1/products/{product}",
	},
	{
		PolicyUnevaluable, http.StatusForbidden,
		"a rule could not be evaluated, so the answer is no", "策略无法评估，按拒绝处理",
		"tell the provider which request this was", "请将该请求告知提供部门",
	},
	{
		QuotaExhausted, http.StatusTooManyRequests,
		"the agreement's quota is used up", "协议额度已用完",
		"wait for the seconds of Retry-After", "请按 Retry-After 等待后重试",
	},
	{
		CursorInvalid, http.StatusBadRequest,
		"the cursor is not one that this hub issued", "游标无效",
		"use the cursor of the previous answer unchanged, or start without one", "请原样使用上一页返回的游标，或从头开始",
	},
	{
		CursorForeign, http.StatusForbidden,
		"the cursor was issued for another caller, product or purpose", "游标不属于当前调用方、目录条目或目的",
		"start without a cursor", "请不带游标重新开始",
	},
	{
		ReceiptUnknown, http.StatusNotFound,
		"there is no such receipt for this caller", "回执不存在",
		"only the two parties of a release can read its receipt", "仅该次发放的双方可以查阅",
	},
	{
		RecordUnknown, http.StatusNotFound,
		"there is no record of this key for this caller", "无此主键对应的可发放记录",
		"compare the key with the provider's; the record may have expired, or lie outside of the agreement's rows", "请核对主键；记录可能已过期，或不在协议约定的范围内",
	},
	{
		EventUnknown, http.StatusNotFound,
		"the receipt covers no such record, or it has expired", "该回执不含此记录，或记录已过保存期",
		"name the event_id of a record and the id of the receipt that came with it", "请填写记录的 event_id 及随其下发的回执编号",
	},
	{
		ProviderOnly, http.StatusForbidden,
		"only the provider of the product may see this", "仅提供部门可查看",
		"ask with a certificate of the provider", "请使用提供部门的证书",
	},
	{
		AcknowledgementUntaken, http.StatusBadRequest,
		"the product takes no acknowledgements", "该目录条目不需要确认",
		"acknowledge bulletins only", "仅通报类数据需要确认",
	},
	{
		KafkaUnavailable, http.StatusServiceUnavailable,
		"the province's Kafka does not answer", "消息队列暂不可用",
		"repeat the request after the seconds of Retry-After; nothing is lost", "请按 Retry-After 重试，数据不会丢失",
	},
	{
		LedgerUnavailable, http.StatusServiceUnavailable,
		"the ledger cannot be written, so nothing is released", "存证账本不可写，暂停发放",
		"repeat the request after the seconds of Retry-After", "请按 Retry-After 重试",
	},
	{
		VaultUnavailable, http.StatusServiceUnavailable,
		"Vault does not answer", "密钥服务暂不可用",
		"repeat the request after the seconds of Retry-After", "请按 Retry-After 重试",
	},
	{
		WrappingUsed, 0,
		"a wrapped secret was opened by somebody else, or has expired", "封装令牌已被他人使用或已过期",
		"have the operator revoke what was wrapped, find out who opened it, and issue another", "请平台运维吊销被封装的凭据，查明使用者后重新签发",
	},
	{
		CredentialEnding, 0,
		"a credential is about to end and nothing has taken its place", "有凭据即将到期且尚未更新",
		"renew it, or find out why what renews it by itself did not; see hubctl credentials", "请更新该凭据，或查明未自动更新的原因；参见 hubctl credentials",
	},
	{
		QuotaUnavailable, http.StatusServiceUnavailable,
		"the quota store does not answer", "额度服务暂不可用",
		"repeat the request after the seconds of Retry-After", "请按 Retry-After 重试",
	},
	{
		ControlStale, http.StatusServiceUnavailable,
		"this replica does not know the latest orders, so it decides nothing", "本节点未同步最新控制指令，暂停服务",
		"repeat the request after the seconds of Retry-After; another replica may answer", "请按 Retry-After 重试",
	},
	{
		PolicyNotAdopted, http.StatusServiceUnavailable,
		"this replica holds other policies than the ones adopted, so it decides nothing", "本节点策略版本与已批准版本不一致，暂停服务",
		"the operator brings the replica to the adopted version, or two security officers adopt the new one", "请运维更新节点，或由两名安全管理员批准新版本",
	},
	{
		Overloaded, http.StatusServiceUnavailable,
		"the hub is busy", "系统繁忙",
		"repeat the request after the seconds of Retry-After", "请按 Retry-After 重试",
	},

	{
		OrderInvalid, http.StatusBadRequest,
		"the order cannot be read or names nothing that can be ordered", "控制指令格式不正确",
		"write it with hubctl control", "请使用 hubctl control 生成指令",
	},
	{
		OrderForged, http.StatusUnauthorized,
		"the order is not signed by an operator of this province", "控制指令签名无效",
		"sign it with an operator's certificate that is valid now", "请使用有效的运维人员证书签名",
	},
	{
		OrderDuty, http.StatusForbidden,
		"the operator's duty does not cover this order", "该岗位无权下达此指令（三员分立）",
		"let an operator of the duty named in the detail order it", "请由 detail 所列岗位的人员下达",
	},
	{
		OrderOutOfTime, http.StatusBadRequest,
		"the order's time is too far from the log's", "控制指令时间与日志时间相差过大",
		"check the clock and sign the order again", "请校准时钟后重新签名",
	},
	{
		OrderConflict, http.StatusConflict,
		"the order changes nothing or does not fit the state", "控制指令与当前状态冲突",
		"look at hubctl control status", "请查看 hubctl control status",
	},
	{
		OrderFourEyes, http.StatusForbidden,
		"this needs a second operator, and it is the same one", "须由另一名人员批准（双人复核）",
		"let another operator of the same duty approve it", "请由同岗位的另一名人员批准",
	},
	{
		OrderUncertain, http.StatusServiceUnavailable,
		"the order was sent, and its outcome is not known yet", "控制指令已发送，结果尚未确认",
		"look at hubctl control status before sending it again; the same order is never carried out twice", "请先查看 hubctl control status，同一指令不会重复生效",
	},

	{
		RecordUnreadable, http.StatusInternalServerError,
		"a record's bytes do not match its schema", "记录内容与模式不符",
		"tell the provider the offset", "请将位点告知提供部门",
	},
	{
		RecordUnredactable, http.StatusInternalServerError,
		"a record cannot be redacted as the policy asks", "记录无法按策略脱敏，不予发放",
		"tell the provider the offset", "请将位点告知提供部门",
	},
	{
		RecordUnsealable, http.StatusInternalServerError,
		"a sealed block cannot be opened", "密封数据块无法打开",
		"ask the operator to check the sealing key in Vault", "请运维检查密封密钥",
	},
	{
		SchemaUnknown, 0,
		"a record names a schema that this hub does not know", "未知的模式编号",
		"update the hub or the connector so that both have the same lock file", "请升级使两端模式锁文件一致",
	},
}
