# Generated with Microsoft365DSC version 1.26.218.1
param (
    [parameter()]
    [System.Management.Automation.PSCredential]
    $Credential
)

Configuration M365TenantConfig
{
    param (
        [parameter()]
        [System.Management.Automation.PSCredential]
        $Credential
    )

    if ($null -eq $Credential)
    {
        <# Credentials #>
        $Credscredential = Get-Credential -Message "Credentials"
    }
    else
    {
        $CredsCredential = $Credential
    }

    $OrganizationName = $CredsCredential.UserName.Split('@')[1]
    $Site = 'contoso.com'

    Import-DscResource -ModuleName 'Microsoft365DSC' -ModuleVersion '1.26.218.1'

    Node localhost
    {
        AADTenantDetails "AADTenantDetails"
        {
            Credential       = $Credscredential;
            IsSingleInstance = "Yes";
        }
        EXOAcceptedDomain "EXOAcceptedDomain-contoso.com"
        {
            Credential      = $Credscredential;
            DomainType      = "InternalRelay";
            Ensure          = "Present";
            Identity        = "$Site";
            MatchSubDomains = $True;
            OutboundOnly    = $False;
        }
        EXOAcceptedDomain "EXOAcceptedDomain-Tenant"
        {
            Credential   = $Credscredential;
            DomainType   = "Authoritative";
            Ensure       = "Present";
            Identity     = $OrganizationName;
            OutboundOnly = $False;
        }
        EXOInboundConnector "EXOInboundConnector-From our servers"
        {
            AssociatedAcceptedDomains    = @();
            CloudServicesMailEnabled     = $False;
            Comment                      = "It's ours; ask `"postmaster`" first";
            ConnectorSource              = "Default";
            ConnectorType                = "OnPremises";
            Credential                   = $Credscredential;
            EFSkipIPs                    = @();
            EFSkipLastIP                 = $False;
            EFUsers                      = @();
            Enabled                      = $True;
            Ensure                       = "Present";
            Identity                     = "From our servers";
            RequireTls                   = $True;
            RestrictDomainsToCertificate = $False;
            RestrictDomainsToIPAddresses = $False;
            SenderDomains                = @("smtp:*;1");
            SenderIPAddresses            = @();
            TlsSenderCertificateName     = "*.$Site";
            TreatMessagesAsInternal      = $False;
        }
        EXOOutboundConnector "EXOOutboundConnector-To our servers"
        {
            AllAcceptedDomains            = $False;
            CloudServicesMailEnabled      = $False;
            ConnectorSource               = "Default";
            ConnectorType                 = "OnPremises";
            Credential                    = $Credscredential;
            Enabled                       = $True;
            Ensure                        = "Present";
            Identity                      = "To our servers";
            IsTransportRuleScoped         = $False;
            RecipientDomains              = @("contoso.com","*.contoso.com");
            RouteAllMessagesViaOnPremises = $False;
            SmartHosts                    = @("mail1.contoso.com","mail2.contoso.com");
            TestMode                      = $False;
            TlsDomain                     = "*.contoso.com";
            TlsSettings                   = "DomainValidation";
            UseMXRecord                   = $False;
            ValidationRecipients          = @();
        }
        EXOOutboundConnector "EXOOutboundConnector-Old"
        {
            Credential = $Credscredential
            Ensure     = "Absent"
            Identity   = "Old"
        }
        EXORemoteDomain "EXORemoteDomain-Default"
        {
            Credential = $Credscredential;
            DomainName = "*";
            Ensure     = "Present";
            Identity   = "Default";
        }
        EXOTransportRule "EXOTransportRule-To our servers by rule"
        {
            AddToRecipients               = @();
            Comments                      = "";
            Credential                    = $Credscredential;
            DeleteMessage                 = $False;
            Enabled                       = $True;
            Ensure                        = "Present";
            ExceptIfSentTo                = @();
            FromScope                     = "NotInOrganization";
            Mode                          = "Enforce";
            Name                          = "To our servers by rule";
            Priority                      = 0;
            Quarantine                    = $False;
            RecipientAddressType          = "Resolved";
            RecipientDomainIs             = @("contoso.com");
            RouteMessageOutboundConnector = "To our servers";
            RouteMessageOutboundRequireTls = $False;
            RuleErrorAction               = "Ignore";
            RuleSubType                   = "None";
            SenderAddressLocation         = "Header";
            StopRuleProcessing            = $False;
        }
        EXOTransportRule "EXOTransportRule-Spam Filter"
        {
            Credential                 = $Credscredential;
            Enabled                    = $True;
            Ensure                     = "Present";
            HeaderMatchesMessageHeader = "X-Spam-Flag";
            HeaderMatchesPatterns      = @("YES");
            Mode                       = "Enforce";
            Name                       = "Spam Filter";
            Priority                   = 1;
            SetSCL                     = "9";
            StopRuleProcessing         = $True;
        }
    }
}

M365TenantConfig -ConfigurationData .\ConfigurationData.psd1 -Credential $Credential
