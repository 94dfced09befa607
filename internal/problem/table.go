package problem

import "net/http"

// table is the one place for the sentences of all codes, in the order of the
// road: of a request, then of a row, a file, a command.
var table = [...]Entry{
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
		CallerUnknown, http.StatusUnauthorized,
		"the participant is not admitted to this hub", "参与方未登记",
		"ask the operator to admit the participant", "请联系平台运维办理接入登记",
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
		QuotaUnavailable, http.StatusServiceUnavailable,
		"the quota store does not answer", "额度服务暂不可用",
		"repeat the request after the seconds of Retry-After", "请按 Retry-After 重试",
	},
	{
		Overloaded, http.StatusServiceUnavailable,
		"the hub is busy", "系统繁忙",
		"repeat the request after the seconds of Retry-After", "请按 Retry-After 重试",
	},

	{
		RecordUnreadable, 0,
		"a record's bytes do not match its schema", "记录内容与模式不符",
		"tell the provider the offset", "请将位点告知提供部门",
	},
	{
		RecordUnredactable, 0,
		"a record cannot be redacted as the policy asks", "记录无法按策略脱敏，不予发放",
		"tell the provider the offset", "请将位点告知提供部门",
	},
	{
		RecordUnsealable, 0,
		"a sealed block cannot be opened", "密封数据块无法打开",
		"ask the operator to check the sealing key in Vault", "请运维检查密封密钥",
	},
	{
		SchemaUnknown, 0,
		"a record names a schema that this hub does not know", "未知的模式编号",
		"update the hub or the connector so that both have the same lock file", "请升级使两端模式锁文件一致",
	},

	{
		RequiredMissing, 0,
		"a required field is empty", "必填字段为空",
		"fill the field in", "请补全该字段",
	},
	{
		NumberUnreadable, 0,
		"the value is not a number", "数值无法识别",
		"write digits with at most one decimal point", "请只填数字和小数点",
	},
	{
		NumberOutOfRange, 0,
		"the number is out of range or too precise", "数值超出范围或精度",
		"see the field in the schema", "请对照字段定义",
	},
	{
		DateUnreadable, 0,
		"the date is in none of the mapping's formats", "日期格式无法识别",
		"write the date as the mapping says", "请按映射约定的格式填写日期",
	},
	{
		DateInFuture, 0,
		"the date lies in the future", "日期晚于当前日期",
		"correct the date or the clock", "请更正日期或时钟",
	},
	{
		CodeUnknown, 0,
		"the value is not in the code list", "代码不在代码表内",
		"use a value of the code list, or extend the mapping's table", "请使用代码表内的值，或补充映射表",
	},
	{
		UnitUnknown, 0,
		"the unit is not in the mapping's table", "计量单位不在换算表内",
		"add the unit to the mapping", "请在映射中补充该单位",
	},
	{
		TextTooLong, 0,
		"the text is longer than the field allows", "文本超过字段长度",
		"shorten it", "请缩短文本",
	},
	{
		TextInvalid, 0,
		"the text is not valid UTF-8 or holds control characters", "文本含无效字符",
		"check the encoding of the file", "请检查文件编码",
	},
	{
		PricesOutOfOrder, 0,
		"low, average and high are out of order", "最低价、平均价、最高价次序错误",
		"correct the three prices", "请更正三个价格",
	},
	{
		DatesOutOfOrder, 0,
		"two dates are out of order", "日期先后次序错误",
		"correct the dates", "请更正日期",
	},
	{
		IdentifierInvalid, 0,
		"the identifier's check digit or structure is wrong", "证件或代码校验不通过",
		"correct the identifier at its source", "请在源系统更正",
	},
	{
		RowMalformed, 0,
		"the row cannot be read", "该行无法解析",
		"check quotes and the number of columns", "请检查引号与列数",
	},

	{
		FileEmpty, 0,
		"the file holds no rows", "文件没有数据行",
		"export the file again", "请重新导出文件",
	},
	{
		FileEncoding, 0,
		"the file is not in the declared encoding", "文件编码与声明不符",
		"set the encoding in the connector's configuration to that of the file", "请在接入端配置中设置正确的编码",
	},
	{
		ColumnMissing, 0,
		"a column that the mapping names is missing", "缺少映射所需的列",
		"compare the file's first line with the mapping", "请对照映射检查表头",
	},
	{
		RowTooLong, 0,
		"a row is longer than allowed", "单行超过允许长度",
		"look for a missing line end or quote at the position named", "请检查所示位置是否缺少换行或引号",
	},
	{
		FileTruncated, 0,
		"the file ends in the middle of a row", "文件在行中间结束",
		"export the file again, write it under another name and rename it into place", "请重新导出，先写临时名再改名",
	},
	{
		FileMalformed, 0,
		"the file is not of the declared kind", "文件格式与声明不符",
		"check the file and the connector's source kind", "请检查文件与数据源类型",
	},
	{
		FileTooLarge, 0,
		"the file, or what it unpacks to, is larger than allowed", "文件或其解压后的内容超过允许大小",
		"split the export into smaller files, or raise the limit in the connector's configuration", "请拆分导出文件，或在接入端配置中提高上限",
	},
	{
		SheetMissing, 0,
		"the workbook has no such sheet", "工作簿中没有所指定的工作表",
		"compare the sheet in the connector's configuration with the workbook's", "请对照工作簿检查接入端配置中的工作表",
	},
	{
		FileVanished, 0,
		"the file disappeared while it was read", "文件在读取过程中消失",
		"put it back; rows already read are not published twice", "请重新放入，已读的行不会重复发布",
	},
	{
		FileUnreadable, 0,
		"the file cannot be read", "文件无法读取",
		"check its permissions", "请检查文件权限",
	},
	{
		FileUnmovable, 0,
		"the file cannot be moved away after reading", "文件处理后无法移走",
		"make the drop directory writable for the connector", "请给予接入端目录写权限",
	},
	{
		DirectoryUnreadable, 0,
		"the drop directory cannot be read", "投放目录无法读取",
		"check that it exists and its permissions", "请检查目录是否存在及权限",
	},
	{
		DiskFull, 0,
		"the disk is full", "磁盘已满",
		"free some room; the connector goes on by itself", "请清理磁盘，接入端会自动继续",
	},

	{
		ConfigInvalid, 0,
		"the configuration has faults", "配置有误",
		"correct the places named", "请更正所列位置",
	},
	{
		ConnectorFenced, 0,
		"another connector with the same identity has taken over", "相同身份的接入端已接管",
		"run one connector per product and provider", "同一提供部门同一目录条目只运行一个接入端",
	},
	{
		GatewayUnreachable, 0,
		"the gateway does not answer", "网关无法连接",
		"check its address, and that it runs", "请检查网关地址与运行状态",
	},
	{
		ReceiptInvalid, 0,
		"the receipt does not verify", "回执验证不通过",
		"do not use the data; tell both operators", "请勿使用数据，并告知双方平台",
	},
	{
		AnswerInvalid, 0,
		"the answer does not match its receipt or schema", "返回内容与回执或模式不符",
		"do not use the data; tell the operator", "请勿使用数据，并告知平台运维",
	},
}
