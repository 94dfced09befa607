package problem

// rows are the sentences of what can go wrong on the road of a row: with a
// field, a file, a command.
var rows = []Entry{
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
		RowForeign, 0,
		"the row belongs to another product", "该行不属于本目录条目",
		"drop it where its product is read: each list, and its natural persons, is a product of its own", "请投放到对应目录条目：每种名单及其自然人部分各为一个条目",
	},
	{
		RemovalUnnamed, 0,
		"the removal or change does not say what it is about", "移出、变更未指明所针对的原记录",
		"give the original decision's number and a version above it", "请填写原决定文书号和更高的版本号",
	},
	{
		VersionConflict, 0,
		"this version was published with another content", "同一版本号已发布过不同内容",
		"give the changed row the next version", "内容变更请使用下一个版本号",
	},
	{
		PersonInClear, 0,
		"a natural person stands in a field that is not sealed", "自然人信息出现在未密封的数据项",
		"map the person's columns to the sealed block person", "请将自然人信息映射到密封数据块 person",
	},
	{
		MinorListed, 0,
		"a minor must not be on this list", "未成年人不得列入",
		"take the person off the list at its source", "请在源系统撤销列入",
	},
	{
		CodeChainBroken, 0,
		"a code does not begin with the code that it belongs to", "编号不以其所属项目编号开头",
		"a tender project's code begins with its project's, a section's with its tender project's", "招标项目编号应以项目编号开头，标段编号应以招标项目编号开头",
	},
	{
		CheckDoubtful, 0,
		"the check character of the deal code does not verify; the row was published with this warning", "统一交易标识码校验位不符；该行已带此警示发布",
		"ask the trading platform how it computes the character", "请向交易平台核实校验位算法",
	},
	{
		RegionAbolished, 0,
		"the administrative division was abolished; the row was published with this warning", "行政区划代码已废止；该行已带此警示发布",
		"use the successor that the detail names", "请使用 detail 所列的现行代码",
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
		"check its path and permissions", "请检查文件路径和权限",
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
		HeldRowsMissing, 0,
		"rows that are held back until their publication time are not on disk any more", "未到公开时间的留存数据在磁盘上缺失",
		"restore the held directory beside the quarantine from its backup; without one, drop the files of done/ that hold these rows again under another name", "请从备份恢复隔离目录旁的 held 目录；没有备份时，将 done/ 中含这些行的文件改名后重新投放",
	},

	{
		ConfigInvalid, 0,
		"the configuration has faults", "配置有误",
		"correct the places named", "请更正所列位置",
	},
	{
		RegistryUnusable, 0,
		"the external schema registry cannot be used", "外部模式注册中心不可用",
		"check SCHEMA_REGISTRY_URL and what the registry says; unset it to use the ids of the lock file", "请检查 SCHEMA_REGISTRY_URL 及注册中心的答复；不设则使用锁文件编号",
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
